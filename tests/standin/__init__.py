"""Stand-in Macs: Linux namespaces that SSH, Apple's commands and launchd make look like a rack of Macs.

    python -m tests.standin up

What runs, for each Mac:

    power      the hardware: the disk and the receptacles; boots, cuts the power, boots again
      firmware   one boot: puts macOS's interfaces on the receptacles
        process 1  in the Mac's own file system, processes, network and host name
          darwin     macOS: SSH, Apple's commands, launchd
            what SSH, launchd and sudo start

`rack.json` is the hardware's truth (`mac.Rack`), shared by all and outside every Mac; `faults` changes it. What macOS
remembers is on the Mac's own disk. The layers: `lab` for tests and inventories, `assembly` and `wires` for bringing up
and down, `power`, `firmware`, `disk` and `layer` for one Mac, `darwin`, `sshd`, `sftp`, `command_server`, `launchd`
and `commands` inside it; `packet_filter` and `netfilter` are its pf, `reply_cache` is for benchmarks only.
"""

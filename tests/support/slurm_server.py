"""A real Slurm of one node, from Debian's packages slurmctld, slurmd and munge, started by root."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun")

CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=long Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why Slurm cannot be started here; None if it can."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=_PATH) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return None if os.geteuid() == 0 else "only root can start Slurm for the user who submits"


@contextmanager
def slurm_server(folder: Path) -> Iterator[Path]:
    """Start Slurm with all its files in `folder`; yields the path of its configuration, for $SLURM_CONF."""
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    configuration = folder / "slurm.conf"
    values = {"host": socket.gethostname().split(".")[0], "cpus": os.cpu_count(), "ports": _free_ports()}
    configuration.write_text(CONFIGURATION.format(folder=folder, **values), encoding="ascii")
    munge = {name: folder / "munge" / name for name in ("socket", "pid-file", "log-file", "seed-file")}
    commands = [
        [
            *("munged", "--foreground", "--force", f"--key-file={key}"),
            *(f"--{name}={path}" for name, path in munge.items()),
        ],
        ["slurmctld", "-D", "-f", str(configuration)],
        ["slurmd", "-D", "-f", str(configuration)],
    ]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("wb") as output:
                environment = os.environ | {"PATH": _PATH}
                processes.append(
                    subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
                )
            time.sleep(1)
        _wait_for_the_node(configuration)
        yield configuration
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _wait_for_the_node(configuration: Path) -> None:
    deadline = time.monotonic() + 60
    environment = os.environ | {"SLURM_CONF": str(configuration)}
    while True:
        asked = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True, text=True
        )
        if asked.stdout.strip() == "idle":
            return
        assert time.monotonic() < deadline, f"Slurm did not start: {asked.stdout} {asked.stderr}"
        time.sleep(0.2)


def _free_ports() -> list[int]:
    with socket.socket() as first, socket.socket() as second:
        for probe in (first, second):
            probe.bind(("127.0.0.1", 0))
        return [first.getsockname()[1], second.getsockname()[1]]

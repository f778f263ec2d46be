#!/usr/bin/env bash
# A whole SLURM on one machine, without systemd (Debian's slurm 22.05), for the tests of this folder.
#
#   slurm.sh start DIR   starts it and writes DIR/env.sh (`. DIR/env.sh` before sbatch, squeue, snakemake ...)
#   slurm.sh stop DIR    stops exactly the processes that it started
#
# Call it `setsid -w slurm.sh start DIR </dev/null`: daemons started from a terminal would keep it. Needs root and
# slurmctld slurmd slurm-client slurmdbd slurm-wlm-mysql-plugin mariadb-server (apt-get install
# --no-install-recommends; .ci/run does it).
set -euo pipefail
cmd=${1:?start|stop}; D=${2:?directory}
PORT0=17601                     # uses PORT0 .. PORT0 + nodes, PORT0 + 90, PORT0 + 91
NODES="cpu1 cpu2 gpu1 gpu2"     # names starting with gpu get GPUS fake GPUs
CPUS=16 MEM=16000 GPUS=2        # per node; MEM in MB
KILLWAIT=15                     # seconds from SIGTERM to SIGKILL: half of what most clusters have
CREDENTIAL=20                   # seconds; a requeued job waits this long (120 by default)
CPU_LIMIT=6:00:00 GPU_LIMIT=12:00:00  # MaxTime

wait_for() {  # TENTHS COMMAND...
  local tenths=$1; shift
  for _ in $(seq "$tenths"); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
  return 1
}
launch() {  # NAME COMMAND...: the name starts with the process's name, which `mine` compares
  local name=$1; shift
  "$@" > "$D/log/$name.out" 2>&1 &
  echo "$! $name" >> "$D/pids"
}

start() {
  mkdir -p "$D"; D=$(cd "$D" && pwd); mkdir -p "$D"/{state,log,run,spool,bin}; : > "$D/pids"
  H=$(hostname -s)
  mkdir -p -m 0755 "$D/munge"
  (umask 077; dd if=/dev/urandom of="$D/munge/munge.key" bs=128 count=1 status=none)
  # --force: pytest's directories are closed to other users, which munged takes for a mistake.
  launch munged /usr/sbin/munged --foreground --force --num-threads=2 --key-file="$D/munge/munge.key" \
    --socket="$D/munge/socket" --log-file="$D/log/munged.log" --pid-file="$D/run/munged.pid" \
    --seed-file="$D/munge/seed"
  wait_for 50 test -S "$D/munge/socket" || { cat "$D/log/munged.out" >&2; return 1; }
  local accounting; accounting=$(account)
  configure > "$D/slurm.conf"
  echo "CgroupPlugin=cgroup/v1" > "$D/cgroup.conf"
  # The jobstep plugin drops every SLURM_* variable but a short list (SLURM_CONF is not on it) before its inner srun,
  # which then finds no configuration: a wrapper stands first in PATH. A real cluster has /etc/slurm/slurm.conf.
  printf '#!/bin/sh\nSLURM_CONF=%s exec /usr/bin/srun "$@"\n' "$D/slurm.conf" > "$D/bin/srun"; chmod +x "$D/bin/srun"
  printf 'export SLURM_CONF=%s\nexport PATH=%s:$PATH\n' "$D/slurm.conf" "$D/bin" > "$D/env.sh"
  export SLURM_CONF="$D/slurm.conf"
  launch slurmdbd /usr/sbin/slurmdbd -D
  wait_for 200 grep -q 'slurmdbd version' "$D/log/slurmdbd.log" || { cat "$D"/log/slurmdbd* >&2; return 1; }
  launch slurmctld /usr/sbin/slurmctld -D -c
  for n in $NODES; do launch "slurmd-$n" /usr/sbin/slurmd -D -N "$n"; done
  wait_for 600 up || { echo "SLURM did not come up" >&2; timeout 5 sinfo -N -l >&2; tail -20 "$D"/log/*.log >&2; return 1; }
  echo "SLURM is up ($NODES): . $D/env.sh"
}
up() { [ "$(timeout 5 sinfo -h -N -o '%N %T' | sort -u | grep -c ' idle$')" = "$(wc -w <<< "$NODES")" ]; }

account() {  # prints slurm.conf's lines
  mkdir -p "$D/db"; local sql=(--no-defaults --socket="$D/db/sock")
  mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$D/db/data" --skip-test-db \
    --auth-root-authentication-method=normal > "$D/log/mariadb-install.log" 2>&1
  launch mariadbd /usr/sbin/mariadbd "${sql[@]}" --user="$(id -un)" --datadir="$D/db/data" --pid-file="$D/run/db.pid" \
    --bind-address=127.0.0.1 --port=$((PORT0+90)) --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900
  wait_for 300 mariadb-admin "${sql[@]}" ping || { cat "$D/log/mariadbd.out" >&2; return 1; }
  mariadb "${sql[@]}" -e "CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
    GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';"
  (umask 077; cat > "$D/slurmdbd.conf") <<CONF
AuthType=auth/munge
AuthInfo=socket=$D/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((PORT0+91))
SlurmUser=$(id -un)
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT0+90))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile=$D/log/slurmdbd.log
PidFile=$D/run/slurmdbd.pid
CommunicationParameters=NoInAddrAny
CONF
  # slurmctld and sacct find munge by AccountingStoragePass, not by AuthInfo. AccountingStorageTRES without slurmdbd
  # is fatal, so it stands here only.
  cat <<CONF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT0+91))
AccountingStoragePass=$D/munge/socket
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
CONF
}

configure() {  # prints slurm.conf, writes gres.conf
  # pgid kills what a job leaves behind, as cgroups do; linuxproc would let it run on, unseen.
  # config_overrides: nodes may claim more than the machine has. No*AddrAny: nothing listens to the world.
  # OverMemoryKill: without cgroups this is what ends a job over its memory (after 1-2 s; its state is FAILED).
  # EnforcePartLimits: otherwise a job over its partition's limits waits for ever, and snakemake with it.
  # MinJobAge: squeue must still know a job that ended between two polls, which may lie 180 s apart.
  cat <<CONF
ClusterName=fixture
SlurmctldHost=$H(127.0.0.1)
SlurmctldPort=$PORT0
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$D/munge/socket,cred_expire=$CREDENTIAL
CredType=cred/munge
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool/%n
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd-%n.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
$accounting
MpiDefault=none
ReturnToService=2
JobRequeue=1
EnforcePartLimits=ALL
KillWait=$KILLWAIT
OverTimeLimit=0
MinJobAge=300
SlurmdParameters=config_overrides
SwitchType=switch/none
DefMemPerCPU=100
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
CONF
  local i=1 n k cpu=() gpu=(); : > "$D/gres.conf"
  for n in $NODES; do
    local gres=""
    case $n in
      gpu*) gpu+=("$n"); gres=" Gres=gpu:fake:$GPUS"
        # Must resolve to a device node: of a regular file no CUDA_VISIBLE_DEVICES is made.
        for k in $(seq 0 $((GPUS-1))); do ln -sfn /dev/null "$D/run/fakegpu-$n-$k"; done
        echo "NodeName=$n Name=gpu Type=fake File=$D/run/fakegpu-$n-[0-$((GPUS-1))]" >> "$D/gres.conf" ;;
      *) cpu+=("$n") ;;
    esac
    echo "NodeName=$n NodeHostname=$H NodeAddr=127.0.0.1 Port=$((PORT0+i)) CPUs=$CPUS Boards=1 SocketsPerBoard=1" \
      "CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$MEM$gres State=UNKNOWN"
    i=$((i+1))
  done
  local IFS=,
  echo "PartitionName=cpu Nodes=${cpu[*]} Default=YES MaxTime=$CPU_LIMIT DefaultTime=10 State=UP PriorityTier=2"
  echo "PartitionName=gpu Nodes=${gpu[*]} MaxTime=$GPU_LIMIT DefaultTime=10 State=UP PriorityTier=2"
}

mine() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "${2%%-*}" ]; }  # a pid may have been given to another since
stop() {
  [ -f "$D/pids" ] || return 0
  D=$(cd "$D" && pwd); export SLURM_CONF="$D/slurm.conf"
  timeout 5 scancel -u "$(id -un)" 2>/dev/null || true; sleep 0.5
  tac "$D/pids" | while read -r pid name; do mine "$pid" "$name" && kill -TERM "$pid" 2>/dev/null || true; done
  wait_for 100 gone || while read -r pid name; do mine "$pid" "$name" && kill -KILL "$pid" 2>/dev/null || true; done < "$D/pids"
}
gone() { while read -r pid name; do if mine "$pid" "$name"; then return 1; fi; done < "$D/pids"; }
"$cmd"

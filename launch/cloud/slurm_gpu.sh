#!/bin/bash
# The real archives, as an array of four jobs, each on two nodes of four GPUs (Slurm), queued again when preempted or out of time.
#   BUCKET=gs://my-bucket/har_jax sbatch launch/cloud/slurm_gpu.sh      (from the repository's root, on a folder that nodes share)
# Edit: partition and account as your cluster wants them; array, nodes, GPUs: one task a GPU, and batches of 256 and 64 windows must
# be multiples of them. BUCKET holds windows/, by `launch/prepare.py --archive=all --source=<folder> --out=<BUCKET>/windows`, and
# gets results/; a folder that all nodes share will do. .venv has `pip install -e '.[cuda,gs,s3]'`.
#SBATCH --job-name=har_jax
#SBATCH --array=0-3
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=har_jax-%A_%a.log

set -u
trap : TERM  # this shell outlives the signal, to see how the tasks end

srun .venv/bin/python launch/lodo.py --flagfile=launch/flags/real.flags --windows="$BUCKET/windows" \
  --out="$BUCKET/results/real" --lodo_shard="$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --distributed --noprogress
code=$?
if [ "$code" -eq 143 ]; then  # SIGTERM: saved, to be gone on with
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"

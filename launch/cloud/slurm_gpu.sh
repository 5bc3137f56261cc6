#!/bin/bash
# The real archives, as an array of four jobs, each on two nodes of four GPUs (Slurm). From the repository's root, in a
# folder that all nodes share:
#   BUCKET=gs://my-bucket/har_jax sbatch launch/cloud/slurm_gpu.sh
# Edit:
# - partition and account
# - array, nodes, GPUs: one task per GPU; the GPUs of a job must divide the batches of 256 and 64 windows.
# - BUCKET, a bucket or a shared folder:
#   `launch/prepare.py --archive=all --archive_path=<folder> --out=<BUCKET>/windows` writes the windows there.
# - .venv: pip install -e '.[cuda,gs,s3]'
# A job is queued again when it is preempted or out of time.
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
trap : TERM  # this shell survives the signal, to see how the tasks end

srun .venv/bin/python launch/lodo.py --flagfile=launch/flags/real.flags --windows="$BUCKET/windows" \
  --out="$BUCKET/runs/real" --lodo_shard="$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --distributed --noprogress
code=$?
if [ "$code" -eq 143 ]; then  # SIGTERM: saved, resumes
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"

"""Flags of experiments that train for a few steps. Tests share them, and so compiled programs."""

MODEL = (
  '--dtype=float32',  # the same numbers, up to rounding, on every device
  '--model_patch_size=32',
  '--model_stem=',
  '--model_pooling=mean',
  '--normalize=train',
  '--model_width=24',
  '--model_mlp_dim=32',
  '--model_num_heads=2',
  '--model_depth=1',
  '--model_decoder_depth=1',
  '--model_head=8',
  '--nomodel_invariant_features',
  '--nomodel_reconstruct_spectrum',
)
# Augmentation, which tests/train covers, takes as long to compile as the rest of a step.
PLAIN = (
  *('--nofinetune_circular_shift', '--finetune_rotation_std_deg=0'),
  *('--finetune_amplitude_std=0', '--finetune_time_warp_std=0'),
)
PRETRAIN = ('--pretrain_max_steps=6', '--pretrain_num_evals=2')
STUDY = (
  *MODEL,
  '--lora_rank=2',
  *PLAIN,
  *PRETRAIN,
  '--finetune_max_steps=8',
  '--finetune_num_evals=2',
  # Validations must differ plainly: of equal ones, the rounding of two processes would choose. Hence high
  # learning rates.
  '--finetune_encoder_learning_rate=0.01',
  '--finetune_learning_rate=0.02',
  '--seeds=0',
  '--targets=sample_motionsense',
  '--noprogress',
)
ADAPT = (*('--max_steps=30', '--learning_rate=0.01', '--batch=32', '--rank=4', '--noprogress'),)

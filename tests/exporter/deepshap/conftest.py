"""Makes the helpers of this folder importable, whatever folder pytest is started from."""

import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parent))

# For networks this small, threads that wait for each other cost more than they save, most of all on a busy machine.
torch.set_num_threads(1)

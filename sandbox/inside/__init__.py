"""What runs beside the candidate in its sandbox. Needs numpy, scipy, torch, safetensors."""

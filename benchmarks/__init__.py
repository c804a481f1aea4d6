"""What `make bench` runs: attnc beside torch's SDPA, FlexAttention and eager code, in one run on one machine."""

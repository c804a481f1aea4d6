"""What `make gpu` runs on a machine with a GPU: are all examples right, are they repeatable, how fast are they."""

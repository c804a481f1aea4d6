"""Graph -> answers: what can be proved of a spec before a plan is made."""

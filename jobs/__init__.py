"""What a person starts: one module per verb, each run as `otcondense VERB`."""

"""Ray clusters: starting one here, tokens, and the job server of a remote one."""

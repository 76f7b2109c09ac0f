"""Ray clusters: start one here, find its token, talk to the job server of a remote one."""

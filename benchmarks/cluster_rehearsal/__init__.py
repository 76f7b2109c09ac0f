"""Every stage of the ImageNet run on a cluster of logical resources, with stand-in workers."""

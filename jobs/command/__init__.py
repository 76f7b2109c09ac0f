"""The command line that every verb shares: verbs, options, settings, progress and exit statuses."""

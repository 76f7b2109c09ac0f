"""The card of a published subset: what it is, how it was chosen, what is known of it."""

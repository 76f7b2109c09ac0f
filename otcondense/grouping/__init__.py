"""Groups of bounded size from the features of images, with or without labels."""

"""`otcondense group`: group the images, so that no selection sees too many at once."""

"""Data that flows through Ray Data: features of images, training arrays, exports of subsets."""

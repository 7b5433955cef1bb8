"""Defects seen in recipes and libraries for this job, each as a test the right way round."""

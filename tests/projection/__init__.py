"""Tests of stylegan.projection."""

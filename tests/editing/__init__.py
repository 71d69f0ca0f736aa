"""Tests of stylegan.editing."""

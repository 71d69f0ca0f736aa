"""`python -m stylegan` is `stylegan`."""

from stylegan.cli import main

main()

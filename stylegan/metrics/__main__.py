"""`stylegan evaluate` for torchrun: torchrun --nproc-per-node 8 -m stylegan.metrics MODEL --data X.zip."""

import sys

from stylegan.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]], prog_name="stylegan")

"""`stylegan train` for torchrun: torchrun --nproc-per-node 8 -m stylegan.training --data X.zip --out RUN."""

import sys

from stylegan.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]], prog_name="stylegan")

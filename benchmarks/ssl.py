"""Speed and memory of SwAV and MAE beside lightly: `python benchmarks/ssl.py --help`.

The work is in `pretraining.py`. A script's folder comes first where Python looks for modules, so
the other scripts here would import this file when something asks for Python's own `ssl`: it then
hands over to that one.
"""

import importlib.util
import sys
import sysconfig
from pathlib import Path

if __name__ == "__main__":
    import pretraining

    pretraining.main()
else:
    own = Path(sysconfig.get_path("stdlib")) / "ssl.py"
    spec = importlib.util.spec_from_file_location("ssl", own)
    module = importlib.util.module_from_spec(spec)
    sys.modules["ssl"] = module
    spec.loader.exec_module(module)

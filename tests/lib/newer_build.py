# SPDX-License-Identifier: MIT
"""A build one version ahead: MessageType has one more symbol, so every schema that uses it has a new version and a new id.

The generator prints its tables from a copy of the schemas, as a build does; all else is linked as it was built. No structure changes
with a symbol, so that the parts fit.
"""
import shutil
from pathlib import Path

import relink

ROOT = Path(__file__).resolve().parents[2]
LAST = '      "DOCUMENT"\n'


def make(build: Path, folder: Path) -> Path:
    """Its executable, in `folder`."""
    schemas, made = folder / "avsc", folder / "schemas"
    shutil.copytree(ROOT / "schemas", schemas, ignore=shutil.ignore_patterns("*.c", "*.h", "*.py", "CMakeLists.txt"))
    made.mkdir()
    types = schemas / "shared/types.avsc"
    text = types.read_text()
    assert text.count(LAST) == 1, "the last symbol of MessageType in schemas/shared/types.avsc is another one"
    types.write_text(text.replace(LAST, LAST.rstrip("\n") + ',\n      "OF_THE_NEWER_BUILD"\n'))
    avsc = sorted(schemas.glob("*.avsc"))
    relink.run([build / "schemas/schemas_history", "lock", schemas / "history", types, *avsc], folder)
    relink.run([build / "schemas/schemas_gen", made / "records.gen.h", made / "records.gen.c", "--types", types, *avsc,
                "--history", *sorted((schemas / "history").glob("*.avsc"))], folder)
    tables = relink.compile_instead(build, build / "schemas/records.gen.c", made / "records.gen.c", made / "records.gen.o", f"-I{folder}")
    relink.link(build, "chasqui", [tables], folder / "chasqui")
    shutil.copy(build / "chasqui-thumbnail", folder)
    return folder / "chasqui"

"""Every sentence that a user sees: one file a tab or topic, all under one name: `texts.X`.

Must not import the rest of demo.
"""

# ruff: noqa: F403 (the files' names, all re-exported; tests/demo/texts checks that no name is defined twice)
from demo.texts.clusters import *
from demo.texts.compare import *
from demo.texts.formats import *
from demo.texts.learn import *
from demo.texts.ledger import *
from demo.texts.map import *
from demo.texts.membership import *
from demo.texts.proof import *
from demo.texts.reports import *
from demo.texts.request import *
from demo.texts.result import *
from demo.texts.selection import *
from demo.texts.status import *

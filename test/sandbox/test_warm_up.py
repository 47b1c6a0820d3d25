"""`configure` with `warm_up`: quick afterwards, and nothing is left of it."""

import json
from typing import Any

from client import Failed
from harness import SandboxTest

_FACTS = """
import json, linecache, sys
print(json.dumps({
    'names': sorted(name for name in globals() if not name.startswith('_')),
    'in': len(In), 'out': len(Out), 'count': get_ipython().execution_count,
    'last': [name for name in ('last_type', 'last_value', 'last_traceback', 'last_exc') if hasattr(sys, name)],
    'cells': len([name for name in linecache.cache if 'divide' in ''.join(linecache.getlines(name))]),
    'figures': sys.modules['matplotlib.pyplot'].get_fignums() if 'matplotlib.pyplot' in sys.modules else None,
    'size': list(sys.modules['matplotlib'].rcParams['figure.figsize']) if 'matplotlib' in sys.modules else None,
}))
"""


class WarmUp(SandboxTest):
    def facts(self) -> dict[str, Any]:
        result = self.client.run(_FACTS)
        self.assertEqual([event["event"] for event, _payload in result.events][0], "started")
        self.assertEqual(result.of("image") + result.of("error") + result.of("result"), [])
        return json.loads(result.text())

    def setUp(self) -> None:
        super().setUp()
        # The harness has run code; a kernel that has may not be warmed up.
        self.client.ask("restart")

    def test_nothing_is_left_of_it(self) -> None:
        cold = self.facts()
        self.client.ask("restart")
        self.client.ask("configure", warm_up=True)
        self.assertEqual(self.facts(), cold)
        self.assertEqual((cold["in"], cold["out"], cold["figures"]), (2, 0, []))

    def test_the_first_exception_table_and_figure_load_nothing_any_more(self) -> None:
        def loaded() -> list[str]:
            self.client.run("import sys\nknown = set(sys.modules)")
            for code in ("1 / 0", "import pandas; pandas.DataFrame([1])", "import matplotlib.pyplot as plt; plt.plot([1]); plt.show()"):
                self.client.run(code)
            return self.run_text("print(*sorted(set(sys.modules) - known))").split()

        self.assertGreater(len(loaded()), 5)
        self.client.ask("restart")
        self.client.ask("configure", warm_up=True)
        self.assertEqual(loaded(), [])

    def test_not_when_there_are_variables(self) -> None:
        self.client.run("kept = 1")
        with self.assertRaises(Failed) as caught:
            self.client.ask("configure", warm_up=True)
        self.assertEqual(caught.exception.code, "bad_request")
        with self.assertRaises(Failed) as caught:
            self.client.ask("configure", warm_up="yes")
        self.assertEqual(caught.exception.code, "bad_request")
        self.assertEqual(self.run_text("print(kept)"), "1\n")


class WithoutLibraries(SandboxTest):
    options = {"preload": ""}

    def test_imports_nothing_that_was_not_asked_for(self) -> None:
        self.client.ask("restart")
        self.client.ask("configure", warm_up=True)
        known = "import sys\nprint([name for name in ('pandas', 'matplotlib', 'numpy') if name in sys.modules])"
        self.assertEqual(self.run_text(known), "[]\n")

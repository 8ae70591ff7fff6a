"""Every test that SECURITY.md names is there."""

import re
import unittest

from test_template import ROOT


def named():
    """Files and tests: a test without a file is in the file named last."""
    file = None
    text = (ROOT / "SECURITY.md").read_text()
    for quoted in re.findall(r"`([^`]+)`", text):
        quoted = " ".join(quoted.split())
        path, colon, test = quoted.partition(": ")
        if re.fullmatch(r"[\w./-]+\.(rs|py|ts)", path):
            file = path
            yield path, test if colon else None
        elif re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+){3,}", quoted):
            yield file, quoted


class Security(unittest.TestCase):
    def test_what_the_page_names_is_there(self):
        count = 0
        for path, test in named():
            file = ROOT / path
            self.assertTrue(file.is_file(), path)
            if test:
                self.assertRegex(file.read_text(), rf"(fn|def) {test}\(", path)
                count += 1
        self.assertGreater(count, 45)


if __name__ == "__main__":
    unittest.main()

"""Modules form no circle: each can be read with only what it imports."""

import unittest

import layout


class Layout(unittest.TestCase):
    def test_no_modules_import_each_other_in_a_circle(self):
        for source in layout.crates():
            name = str(source.relative_to(layout.ROOT))
            crate = layout.Crate(source)
            self.assertGreater(len(crate.modules), 3, name)
            found = []
            for circle in crate.circles():
                found += crate.why(circle)
            self.assertEqual(found, [], name)

    def test_a_circle_is_found(self):
        crate = layout.Crate.of(
            {
                (): "pub mod a; pub mod b;",
                ("a",): "pub mod inner; pub use inner::Thing; use crate::b::Other;",
                ("a", "inner"): "use super::helper; pub struct Thing;",
                ("b",): '// use crate::c;\nfn text() { "crate::a" } #[cfg(test)] mod tests { use crate::a::Thing; }',
            }
        )
        self.assertEqual(crate.circles(), [])
        crate = layout.Crate.of({(): "", ("a",): "use crate::b::Other;", ("b",): "fn f() -> crate::a::Thing {}"})
        self.assertEqual(crate.circles(), [{("a",), ("b",)}])
        self.assertEqual(crate.why(crate.circles()[0]), ["a -> b", "b -> a"])


if __name__ == "__main__":
    unittest.main()

"""Write the expected forms anew, after a change on purpose: `python -m tests.golden.write`."""

from tests.golden.cases import cases

if __name__ == "__main__":
    for case in cases():
        decoded, encoded = case.run()
        case.path.with_suffix(".decoded").write_text(decoded, "utf-8")
        case.path.with_suffix(".encoded").write_bytes(encoded)

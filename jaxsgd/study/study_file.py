"""Study files: a Python file with `STUDY = Study(...)` or with several studies in `STUDIES`, or JSON."""

import ast
import json
import re
import runpy
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxsgd.error import InputError, no_such, shown
from jaxsgd.family import split_names
from jaxsgd.study.fields import replaced_fields
from jaxsgd.study.shipped import shipped
from jaxsgd.study.study import Study


def study_path(name: str) -> Path:
    """Return the file of a study that is given by path or by the bare name of a study of the package.

    Raises:
      InputError: if there is no such file or name, with the nearest name.
    """
    known, path = shipped(), Path(name)
    if name in known:
        return known[name]
    if name and path.is_dir():
        if (path / "study.json").is_file():
            raise InputError(f"{name}: this is a result: go on with it by jaxsgd run {path / 'study.json'} --out {name}")
        raise InputError(f"{name}: this is a folder; name a study file, such as {path / 'my_study.py'}")
    if path.is_file() and path.suffix not in (".py", ".json"):
        raise InputError(f"{name}: a study file ends in .py or .json")
    if path.suffix in (".py", ".json"):
        if not path.is_file():
            raise InputError(f"{name}: no such study file")
        return path
    raise no_such("study (give a path to a .py or .json file, or a name from `jaxsgd studies`)", name, known)


def result_folders(studies: Iterable[str], folder: Path) -> dict[str, Path]:
    """Return the result folder of each study of a file: `folder` for a single study, and a folder in it for each of several."""
    names = list(studies)
    return {name: folder / name for name in names} if len(names) > 1 else dict.fromkeys(names, folder)


def starts_in_folders(studies: Mapping[str, Study], folders: Mapping[str, Path]) -> dict[str, Study]:
    """Return the studies of a file; where one starts at another of them, by its name, it starts at that one's folder.

    Args:
      studies: of the file, by name.
      folders: the result folder of each.
    """
    others = {name: str(folder) for name, folder in folders.items()} if len(folders) > 1 else {}
    starts = {name: others.get(study.start or "") for name, study in studies.items()}
    return {name: study.replaced(start=starts[name]) if starts[name] else study for name, study in studies.items()}


def look_beside(path: Path) -> None:
    """Let "module:attribute" pointers lead to modules near a study or a result, and in the current folder.

    These folders come after all installed packages. For a study file it is the file's folder. For a result it is the folder
    that contains it and the folder above, so that `results/mine` finds modules beside `results`. The current folder is last.

    Args:
      path: a study file or a result folder.
    """
    resolved = path.resolve()
    near = resolved.parents[:2] if resolved.is_dir() else resolved.parents[:1]
    for folder in map(str, (*near, Path.cwd())):
        if folder not in sys.path:
            sys.path.append(folder)


def read_studies(path: Path, assignments: Sequence[str] = ()) -> dict[str, Study]:
    """Return the studies in a file by name, with some fields replaced. A Python file is run.

    The name of the only study of a file is that of the file. See `look_beside` for pointers.

    Args:
      path: a Python file with `STUDY = Study(...)` or `STUDIES = {"name": Study(...), ...}`, or the JSON of a study.
      assignments: texts "field=value", for every study; the value is JSON, a range such as 0:64, or text. A dotted field is an
        entry of a dictionary: "problem_args.num_samples=500".

    Raises:
      InputError: if the file cannot be run or read, has no study, or a field or value is wrong.
    """
    look_beside(path)
    if path.suffix == ".json":
        fields = _read_json(path)
        try:
            return {path.stem: Study(**_replaced(fields, assignments))}
        except InputError as error:  # a mistake in an assignment is not the file's
            raise error if assignments else InputError(f"{path}: {error}") from None
    return {name: _changed(path, study, assignments) for name, study in _run_file(path).items()}


def read_study(path: Path, assignments: Sequence[str] = ()) -> Study:
    """Return the only study in a file, as `read_studies` reads it.

    Raises:
      InputError: as `read_studies`, and if the file has several studies.
    """
    name, *others = studies = read_studies(path, assignments)
    if others:
        raise InputError(f"{path}: must have a single study, got {', '.join(studies)}")
    return studies[name]


def read_figure(path: Path) -> Callable[..., Any]:
    """Return the function `figure` of a study file, which draws a result of the study. The file is run.

    Raises:
      InputError: if the file cannot be run or has no such function.
    """
    function = None if path.suffix == ".json" else _defined(path).get("figure")
    if not callable(function):
        raise InputError(f"{path}: must define a function figure(ds) that draws a result, got {type(function).__name__}")
    return function


def _defined(path: Path) -> dict[str, Any]:
    """Return everything that a Python file defines, by name."""
    try:
        return runpy.run_path(str(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except SyntaxError as error:
        place = f"line {error.lineno}: " if error.lineno else ""
        hint = "; save the file in UTF-8" if "null bytes" in error.msg else ""
        raise InputError(f"{error.filename or path}: {place}{error.msg}{hint}") from None
    except SystemExit:
        raise InputError(f"{path}: ends Python (sys.exit) before STUDY is defined; remove that call") from None


def _run_file(path: Path) -> dict[str, Any]:
    """Return what a Python file defines as its studies, by name."""
    defined = _defined(path)
    if "STUDY" not in defined and "STUDIES" not in defined:
        named = next((f"rename {name} to STUDY" for name, value in defined.items() if isinstance(value, Study)), "it has none")
        raise InputError(f"{path}: must define STUDY = jaxsgd.Study(...): {named}")
    if "STUDIES" not in defined:
        return {path.stem: defined["STUDY"]}
    if "STUDY" in defined:
        raise InputError(f"{path}: defines both STUDY and STUDIES; write one of them")
    twice = _names_given_twice(path)
    if twice:
        raise InputError(f"{path}: STUDIES has {twice[0]!r} more than once; give each study a name of its own")
    studies = defined["STUDIES"]
    if not isinstance(studies, dict) or not studies or not all(map(_names_a_study, *zip(*studies.items(), strict=True))):
        wanted = 'a dictionary such as {"first": jaxsgd.Study(...)}, with names for folders'
        raise InputError(f"{path}: STUDIES must be {wanted}, got {shown(studies)}")
    return studies


def _names_given_twice(path: Path) -> list[str]:
    """Return the names that a file's dictionary STUDIES has more than once, of which Python keeps only the last.

    Names that differ only in upper and lower case are the same: on some systems they would have the same folder.
    """
    names: list[Any] = []
    for node in ast.parse(path.read_bytes()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == "STUDIES" for target in targets):
            keys = node.value.keys if isinstance(node.value, ast.Dict) else []  # type: ignore[union-attr]
            names = [str(key.value).casefold() for key in keys if isinstance(key, ast.Constant)]
    return [name for name, count in Counter(names).items() if count > 1]


def _names_a_study(name: Any, study: Any) -> bool:
    return isinstance(name, str) and bool(re.fullmatch(r"[\w-]+", name)) and isinstance(study, Study)


def _changed(path: Path, study: Any, assignments: Sequence[str]) -> Study:
    if not isinstance(study, Study):
        raise InputError(f"{path}: must define STUDY = jaxsgd.Study(...), got {type(study).__name__}")
    try:
        fields = study.resolved()
    except InputError as error:  # its problem is an object
        raise InputError(f"{path}: {error}") from None
    return Study(**_replaced(fields, assignments)) if assignments else study


def _read_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if not text.strip():
            raise InputError(f"{path}: is empty; it must have the fields of a study, as the study.json of a result")
        fields = json.loads(text)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a study in JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InputError(f"{path}: must be a JSON object with a study's fields, got {type(fields).__name__}")
    return fields


def _replaced(fields: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    changed, new = dict(fields), set()
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise InputError(f"--set {assignment}: must be field=value, such as epochs=10")
        field, *inner = name.strip().split(".")
        if field == "optimizer":
            field = "optimizers"
        value = _value(text.strip())
        new.add(field)
        if not inner:
            changed[field] = value
            continue
        holder = changed[field] = dict(changed.get(field) or {})
        for part in inner[:-1]:
            holder[part] = dict(holder.get(part) or {})
            holder = holder[part]
        holder[inner[-1]] = value
    return replaced_fields(fields, {name: changed[name] for name in new})


def _value(text: str) -> Any:
    """Return the value of a text: JSON, a range such as 0:64 or range(64), a list such as 1,2,5, or the text."""
    start, colon, stop = text.partition(":")
    if colon and start.strip().isdigit() and stop.strip().isdigit():
        return list(range(int(start), int(stop)))
    if re.fullmatch(r"range\(\d+(, *\d+){0,2}\)", text):
        return list(range(*map(int, re.findall(r"\d+", text))))
    for candidate in (text, f"[{text}]"):
        try:
            return json.loads(candidate)
        except ValueError:
            continue
    names = split_names(text)
    return names if len(names) > 1 else text

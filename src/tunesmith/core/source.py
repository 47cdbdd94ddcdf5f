"""The code that a user's function depends on, within its file."""

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeGuard, final
from weakref import WeakKeyDictionary

from tunesmith.core.errors import CodeChangedError, SettingsError
from tunesmith.core.functions import READ_UNTIL, Function

Definition = ast.FunctionDef | ast.AsyncFunctionDef
Binding = Definition | ast.Assign | ast.AnnAssign
_looked_at: "WeakKeyDictionary[Function, Code]" = WeakKeyDictionary()


@final
@dataclass(frozen=True, kw_only=True)
class Code:
    """Identity of the code that a function depends on.

    Attributes:
        file: SHA-256 of the file.
        needed: SHA-256 of the part of it that the function needs; see `needed`.
    """

    file: str
    needed: str

    def is_same(self, other: Self) -> bool:
        """Whether the code is the same; the rest of the file may differ."""
        return self.file == other.file or self.needed == other.needed


def file_of(function: Function, here: Path) -> Path:
    """Return the file in which a function is defined; a decorated one where it was decorated.

    Args:
        function: The function.
        here: Working folder when it was imported.

    Raises:
        SettingsError: There is no such file.
    """
    inner = inspect.unwrap(function)
    file = inspect.getsourcefile(inner)
    if file is None or not (here / file).is_file():
        raise SettingsError(
            f"There is no source file of `{inner.__name__}`, by which to see whether it was "
            "changed between two runs. Define a function that calls it in a .py file."
        )
    return here / file


def code_of(function: Function, name: str, file: Path) -> Code:
    """Identify the code of a file that a function depends on.

    Args:
        function: The function.
        name: Its name in the file that the user named.
        file: Its file; see `file_of`.
    """
    inner, content = inspect.unwrap(function), file.read_bytes()
    until = getattr(sys.modules.get(inner.__module__), READ_UNTIL, None)
    code = needed(content, {name, inner.__name__}, until=until)
    return Code(file=_hash(content), needed=_hash(code.encode()))


def imported_code_of(function: Function, name: str, file: Path) -> Code:
    """Identify code as `code_of` does, and refuse a file that this process knows otherwise.

    Other processes would import the code as it is now, and this one has what it imported before.
    That is known since the function was first looked at: when it was imported, nobody looked.

    Raises:
        CodeChangedError: The code was changed, and the function was not imported anew.
    """
    now = code_of(function, name, file)
    if not _looked_at.setdefault(inspect.unwrap(function), now).is_same(now):
        raise CodeChangedError(
            f"The code in {file} that `{name}` needs was changed since it was imported here, so "
            "this process has the old one, and others would import the new one. Restart this "
            "process (in a notebook, the kernel), or reload the module by `importlib.reload`."
        )
    return now


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def needed(source: bytes | str, names: Collection[str], *, until: int | None = None) -> str:
    r"""Return the part of a file's code that names in it depend on, in a uniform style.

    Left out are comments, docstrings, the main guard, and definitions and constants that none of
    the names needs. So the call that starts the work may get other arguments.

    Args:
        source: The code.
        names: Names at its top level.
        until: Line at which importing it stops; None for its end.

    Example:
        >>> needed("N = 4  # trials\nR = 2\nf = R, 1\ntune(f, N)", {"f"}, until=4)
        'R = 2\nf = (R, 1)'

    """
    tree = ast.parse(source)
    _Bare(until).visit(tree)
    body = tree.body
    idle = [statement for statement in body if _is_idle(statement)]
    used = {*names}.union(*(_names_in(s) for s in body if s not in idle))
    while found := [statement for statement in idle if used & _bound_by(statement)]:
        idle = [statement for statement in idle if statement not in found]
        used = used.union(*map(_names_in, found))
    kept = [statement for statement in body if statement not in idle]
    return ast.unparse(ast.Module(body=kept, type_ignores=[]))


@final
class _Bare(ast.NodeTransformer):
    """Removes what does nothing when a file is imported.

    Args:
        until: Line at which importing stops; None for its end.
    """

    def __init__(self, until: int | None) -> None:
        self._until = until

    def visit(self, node: ast.AST) -> ast.AST | None:
        """Remove a statement that does nothing, or what does nothing within it."""
        is_void = isinstance(node, ast.stmt) and self._is_void(node)
        return None if is_void else self.generic_visit(node)

    def _is_void(self, statement: ast.stmt) -> bool:
        is_compound = hasattr(statement, "body")  # importing may stop in the middle of it
        last = statement.lineno if is_compound else statement.end_lineno or statement.lineno
        if self._until is not None and last >= self._until:
            return True
        match statement:
            case ast.Expr(value=ast.Constant()):
                return True
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()]), orelse=[]):
                return True
        return False


def _is_idle(statement: ast.stmt) -> TypeGuard[Binding]:
    """Whether a statement only binds names, so that without them it would not be missed."""
    if isinstance(statement, Definition):
        return not statement.decorator_list
    if not isinstance(statement, Binding):
        return False
    acts = any(isinstance(node, ast.Call | ast.NamedExpr) for node in ast.walk(statement))
    return not acts and bool(_bound_by(statement))


def _bound_by(statement: Binding) -> set[str]:
    """Names that a definition or an assignment binds; none if it changes something else."""
    if isinstance(statement, Definition):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    parts = [part for target in targets for part in getattr(target, "elts", [target])]
    is_plain = all(isinstance(part, ast.Name) for part in parts)
    return {part.id for part in parts if isinstance(part, ast.Name)} if is_plain else set()


def _names_in(statement: ast.stmt) -> set[str]:
    """Names in a statement, also those in strings, such as annotations."""
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {*re.findall(r"\w+", node.value)}
    return names

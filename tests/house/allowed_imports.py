"""A contract for import-linter: a folder imports what its list names and nothing else."""

from typing import Final

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules

_COMPUTING = """
__future__ abc array base64 bisect collections contextlib dataclasses datetime decimal difflib enum fractions functools
graphlib hashlib heapq html inspect itertools json math numbers operator re statistics string struct types typing
unicodedata zlib
"""
COMPUTING: Final = frozenset(_COMPUTING.split())
"""Parts of the standard library that read nothing but their arguments; every folder may import them."""


class AllowedContract(Contract):
    """Fail for each import from a source module, or from a module below it, of what is neither below it nor listed.

    Options: `source_modules`; `allowed_modules`, each with everything below it. Third-party packages and the standard
    library are compared by top-level name.
    """

    type_name = "allowed"
    source_modules = fields.SetField(subfield=fields.ModuleExpressionField())
    allowed_modules = fields.SetField(subfield=fields.ModuleField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        sources = {module.name for module in module_expressions_to_modules(graph, self.source_modules)}
        allowed = {module.name for module in self.allowed_modules} | COMPUTING
        not_allowed = [
            f"{importer} imports {imported} (line {detail['line_number']})"
            for source in sorted(sources)
            for importer in sorted({source} | graph.find_descendants(source))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not any(f"{imported}.".startswith(f"{name}.") for name in allowed | {source})
            for detail in graph.get_import_details(importer=importer, imported=imported)
        ]
        return ContractCheck(kept=not not_allowed, metadata={"not_allowed": not_allowed})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["not_allowed"]:
            output.print_error(f"- {line}, which is not in the contract's allowed_modules")

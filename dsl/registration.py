"""What Keras finds of the library after a bare `import dsl`.

Keras loads a class by the name under which its module has registered it, and
`import dsl` imports none of these modules: a program that reads a corpus would
wait for Keras. So a stand-in has the name until the module takes it over.
"""

import importlib
import sys

_SAVING = "keras.saving"


class StandIn:
    """Stands in Keras' registry for a class that is not imported yet.

    Args:
        home: Name of the module.
        name: Name of the class in it.
    """

    def __init__(self, home, name):
        self.home = home
        self.name = name

    def from_config(self, config):
        """What Keras asks a class for: an object from its configuration."""
        module = importlib.import_module(self.home)
        return getattr(module, self.name).from_config(config)


def register(homes):
    """Makes classes known to Keras, as soon as Keras is imported.

    A class that has registered itself already stays.

    Args:
        homes: The module of each class, by the name of the class.
    """

    def add(saving):
        registry = saving.get_custom_objects()
        for name, home in homes.items():
            registry.setdefault(f"dsl>{name}", StandIn(home, name))

    # Keras may be half imported, by what imports this: the module that is
    # needed of it comes late, then.
    if sys.modules.get(_SAVING) is None:
        sys.meta_path.insert(0, _After(_SAVING, add))
    else:
        add(importlib.import_module(_SAVING))


class _After:
    """Finds a module as others do, and acts once when it has been imported."""

    def __init__(self, name, act):
        self.name = name
        self.act = act

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _After):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        if spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                # Another list: another thread may go through this one.
                sys.meta_path = [x for x in sys.meta_path if x is not self]
                self.act(module)

            spec.loader.exec_module = exec_module
        return spec

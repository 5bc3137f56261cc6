"""The client's app for Flower: trains on its own person's windows, and sends what is shared.

In Flower's simulation `make` gets a person of an archive. In a SuperNode, `app` reads the configuration of
its node:
windows       folder of `har-jax prepare`
target        dataset in it
person        name of the person there
partition-id  number of the person
labels        optional: windows per activity to train on
base          optional
"""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from har_jax.errors import UserError, shorten
from har_jax.federated import aggregation, messages, people
from har_jax.federated.federation import Federation
from har_jax.federated.task import Task, load_task
from har_jax.variables import Variables

_NUMPY = 'numpy.ndarray'  # Flower's name of our arrays' serialization


# A client's own part: its person, and the folder of its base (None: the bundled one).
Find = Callable[[Context, Federation], tuple[people.Person, str | None]]


def make(find: Find) -> ClientApp:
  """The app of clients that bring what `find` returns."""
  app = ClientApp()

  @app.train()
  def train(message: Message, context: Context) -> Message:
    person, task, request = _begin(message, context, find)
    variables = _variables(task, message)
    changed, loss = task.fit(variables, person.train, number=person.number, done=request.round - 1)
    metrics = MetricRecord({'windows': len(person.train['label']), 'loss': loss, 'client': person.number})
    content = RecordDict({'arrays': written(changed), 'metrics': metrics})
    return Message(content=content, reply_to=message)

  @app.evaluate()
  def evaluate(message: Message, context: Context) -> Message:
    """Measures on the person's later windows, which were not trained on."""
    person, task, _ = _begin(message, context, find)
    measured = task.measure(_variables(task, message), person.later)
    scores = {'macro_f1': measured.macro_f1, 'accuracy': measured.accuracy}
    metrics = MetricRecord({**scores, 'windows': len(person.later['label']), 'client': person.number})
    return Message(content=RecordDict({'metrics': metrics}), reply_to=message)

  return app


def _begin(message: Message, context: Context, find: Find) -> tuple[people.Person, Task, messages.Request]:
  """Raises UserError, which Flower sends to the server, if this client's frozen leaves are others.

  Also if the server asks for what no server of har_jax does.
  """
  federation, request = messages.read_request(message.content.config_records.get('config', {}))
  person, base = find(context, federation)
  if max(int(part['label'].max()) for part in (person.train, person.later)) >= len(federation.classes):
    raise UserError(f'the windows of this client have more classes than {", ".join(federation.classes)}')
  task = load_task(federation, base)
  if task.checksum != request.checksum:
    raise UserError(
      f'this client has frozen leaves with the checksum {task.checksum[:12]}, the server with '
      f'{request.checksum[:12]}: take the same base, and the same versions of har_jax and JAX'
    )
  return person, task, request


def _variables(task: Task, message: Message) -> Variables:
  """The variables that the server sent. Raises UserError if they are not those that training changes."""
  sent = read(message.content.array_records.get('arrays', {}))
  aggregation.check_update(sent, task.start)
  return sent


def read(record: Mapping[str, Array]) -> Variables:
  """Raises UserError if a part is no array as `written` sends it."""
  if strange := sorted({array.stype for array in record.values()} - {_NUMPY}):
    raise UserError(f'arrays of the type {shorten(", ".join(strange))}, not {_NUMPY}')
  return {path: messages.read_array(array.data) for path, array in record.items()}


def written(variables: Variables) -> ArrayRecord:
  """The variables as Flower sends them, in the order of their paths."""
  return ArrayRecord({path: Array(variables[path]) for path in sorted(variables)})


def serialized_bytes(content: Any) -> int:
  """Bytes of a message's content as Flower sends it: a tree of objects, named by their checksums.

  Equal arrays of a message are one object, such as LoRA's zeros before the first round.
  """
  return len(content.deflate()) + sum(map(serialized_bytes, (content.children or {}).values()))


def _from_node(context: Context, federation: Federation) -> tuple[people.Person, str | None]:
  """Reads a SuperNode's configuration. Raises UserError if an entry or the person is missing."""
  node = context.node_config
  needed = ('windows', 'target', 'person', 'partition-id')
  if missing := [name for name in needed if name not in node]:
    raise UserError(f'the configuration of the node lacks {", ".join(missing)}; give them with --node-config')
  person = _person(
    pathlib.Path(str(node['windows'])),
    str(node['target']),
    str(node['person']),
    classes=federation.classes,
    labels=int(node.get('labels', 0)),
    number=int(node['partition-id']),
  )
  return person, str(node['base']) if 'base' in node else None


_person = functools.lru_cache(maxsize=4)(people.read_person)

app = make(_from_node)  # Flower finds no name that has an annotation

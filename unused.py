"""Names that vulture finds no use of, although something uses them: the allow-list of `make lint`.

A name is listed where its user cannot be seen in the code: a library that calls or reads it, another package, a test
double's user. Anything else that vulture reports is dead and goes.
"""

# Called by the libraries that the classes extend: PyYAML's dumpers, click's groups, pydantic's models, asyncio.
_.ignore_aliases
_.format_commands
_.model_post_init
_.__class_getitem__
_.connection_made
_.pipe_data_received
_.process_exited
_.connection_lost

# Entry points of operator/pyproject.toml, for kubectl's plugins.
as_plugin
complete_for_kubectl

# Assigned for kubernetes_asyncio, so that it never imports or runs its own exec plugin.
_.__path__
_.load_from_exec_plugin

# Read and called by nats-py, whose client and transport are extended with bounds.
_._ps
_._pending_data_size
_._process_info
_._ws
_.connect_tls
buffer_size

# What a connection counts: for who debugs it, and for the tests.
_.statistics
_.clients
_.lost_messages

# Cached of a pod and of nodes for programs on kube/ alone; the tests of the machinery read them.
_.pod_ip
NODE

# The public test doubles of an API server, its clock, NATS, wadm and hosts: called by tests, ours and those of others.
_.fail
_.compact
_.restore
_.advance
_.age
_.start_provider
_.ask_config_service
_.host_changed

# Called by the name of a subject's operation, in the doubles of wadm and of a host.
_._undeploy
_._del
_._status
_._host_ping
_._host_get
_._provider_start
_._provider_stop
_._component_scale
_._config_get
_._config_put
_._config_del
_._label_put
_._label_del
_._registry_put
_._claims_get
_._link_get
_._link_put
_._link_del

# The tables of which docs/reference/generate.py makes a page.
_.meaning
CONDITIONS
REASONS

# The models package: fields of the CRDs and documents, read by whoever imports it; the operator passes most on unread.
read_documents
write_documents
_.ready_endpoints
_.observed_generation
_.content_digest
_.placement_count
_.default_mode
_.host_count
_.app_count
_.remaining_item_count
_.requirements
_.weight
_.block_owner_deletion
_.limits

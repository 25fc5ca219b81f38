package sqlfacts

import "strings"

// A functionClass says what calling a built-in function means.
type functionClass uint8

const (
	_ functionClass = iota // unknown
	// classPure: the result comes from the arguments, the clock, chance and the
	// session.
	classPure
	// classMetadata: it comes from the system catalogue as well.
	classMetadata
	classReadsSetting
	classSetConfig
	classNotify
	classSequenceRead
	classSequenceWrite
	classRunsSQL
	classReadsFile
	classWritesFile
	classObjectRead
	classObjectWrite
	classObjectFile
	classSession
	classServer
	classReplication
	// classLock: advisory locks, sleeping and others that can only make wait.
	classLock
)

// A functionTable knows the functions and types of pg_catalog. It is immutable.
type functionTable struct {
	class map[string]functionClass
	types map[string]bool
}

func newFunctionTable() *functionTable {
	t := &functionTable{class: map[string]functionClass{}, types: map[string]bool{}}
	for _, l := range []struct {
		class functionClass
		names string
	}{
		{classPure, pureFunctions},
		{classPure, pureJSONFunctions},
		{classMetadata, metadataFunctions},
		{classReadsSetting, "current_setting"},
		{classSetConfig, "set_config"},
		{classNotify, "pg_notify"},
		{classSequenceRead, "currval lastval pg_sequence_last_value"},
		{classSequenceWrite, "nextval setval"},
		{classRunsSQL, runsSQLFunctions},
		{classReadsFile, readsFileFunctions},
		{classWritesFile, "pg_file_write pg_file_sync pg_file_rename pg_file_unlink"},
		{classObjectRead, "lo_get lo_open loread lo_lseek lo_lseek64 lo_tell lo_tell64 lo_close"},
		{classObjectWrite, "lo_creat lo_create lo_from_bytea lo_put lo_truncate lo_truncate64 lo_unlink lowrite"},
		{classObjectFile, "lo_import lo_export"},
		{classSession, sessionFunctions},
		{classServer, serverFunctions},
		{classReplication, replicationFunctions},
		{classLock, lockFunctions},
	} {
		for name := range strings.FieldsSeq(l.names) {
			t.class[name] = l.class
		}
	}
	for name := range strings.FieldsSeq(builtinTypes) {
		t.types[name] = true
		t.types["_"+name] = true
	}
	return t
}

// runsSQLPrefixes begin the names of extension functions that run SQL text, here
// or on another server.
func runsSQLPrefixes() []string {
	return []string{"dblink", "crosstab", "connectby", "xpath_table", "postgres_fdw_", "plpgsql_", "pg_background_", "cron_"}
}

const runsSQLFunctions = `
	query_to_xml query_to_xmlschema query_to_xml_and_xmlschema
	cursor_to_xml cursor_to_xmlschema
	table_to_xml table_to_xmlschema table_to_xml_and_xmlschema
	schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema
	database_to_xml database_to_xmlschema database_to_xml_and_xmlschema
	ts_stat ts_rewrite xpath_table tsvector_update_trigger tsvector_update_trigger_column
	crosstab crosstab2 crosstab3 crosstab4 crosstabn connectby
	dblink dblink_exec dblink_open dblink_fetch dblink_close dblink_send_query
	dblink_get_result dblink_connect dblink_connect_u dblink_disconnect
	pg_extension_config_dump`

const readsFileFunctions = `
	pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file
	pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_tmpdir pg_ls_archive_statusdir
	pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_summariesdir
	pg_file_read pg_logdir_ls pg_current_logfile pg_hba_file_rules pg_ident_file_mappings
	pg_show_all_file_settings pg_get_wal_summarizer_state pg_available_wal_summaries pg_wal_summary_contents`

const sessionFunctions = `
	pg_terminate_backend pg_cancel_backend pg_log_backend_memory_contexts
	pg_stat_clear_snapshot pg_stat_force_next_flush
	pg_export_snapshot setseed`

const serverFunctions = `
	pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_promote pg_switch_wal
	pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup
	pg_create_restore_point pg_wal_replay_pause pg_wal_replay_resume
	pg_stat_reset pg_stat_reset_shared pg_stat_reset_single_table_counters
	pg_stat_reset_single_function_counters pg_stat_reset_slru
	pg_stat_reset_replication_slot pg_stat_reset_subscription_stats
	pg_stat_statements_reset pg_import_system_collations pg_nextoid
	pg_stop_making_pinned_objects pg_sync_replication_slots
	brin_summarize_new_values brin_summarize_range brin_desummarize_range
	gin_clean_pending_list pg_prewarm`

const replicationFunctions = `
	pg_create_logical_replication_slot pg_create_physical_replication_slot
	pg_copy_logical_replication_slot pg_copy_physical_replication_slot
	pg_drop_replication_slot pg_replication_slot_advance
	pg_logical_slot_get_changes pg_logical_slot_peek_changes
	pg_logical_slot_get_binary_changes pg_logical_slot_peek_binary_changes
	pg_logical_emit_message pg_replication_origin_create pg_replication_origin_drop
	pg_replication_origin_advance pg_replication_origin_session_setup
	pg_replication_origin_session_reset pg_replication_origin_xact_setup
	pg_replication_origin_xact_reset pg_replication_origin_progress
	pg_replication_origin_session_progress pg_replication_origin_session_is_setup
	pg_show_replication_origin_status pg_get_replication_slots`

const lockFunctions = `
	pg_sleep pg_sleep_for pg_sleep_until
	pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_shared
	pg_advisory_unlock_all pg_advisory_xact_lock pg_advisory_xact_lock_shared
	pg_try_advisory_lock pg_try_advisory_lock_shared
	pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared`

const builtinTypes = `
	bool bytea char name int8 int2 int2vector int4 regproc text oid tid xid cid oidvector
	json jsonb jsonpath xml point lseg path box polygon line circle float4 float8 unknown
	money macaddr macaddr8 inet cidr aclitem bpchar varchar date time timestamp timestamptz
	interval timetz bit varbit numeric uuid pg_lsn tsvector gtsvector tsquery
	refcursor regprocedure regoper regoperator regclass regtype regrole regnamespace
	regconfig regdictionary regcollation txid_snapshot pg_snapshot xid8
	int4range numrange tsrange tstzrange daterange int8range
	int4multirange nummultirange tsmultirange tstzmultirange datemultirange int8multirange
	record cstring void anyelement anyarray`

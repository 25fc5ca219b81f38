package pgproxy

// The catalogue's queries are plain SQL on the system catalogues (manual,
// "System Catalogs"). 1247, 1255, 1259, 2604, 2617 and 2618 are the fixed OIDs of
// pg_type, pg_proc, pg_class, pg_attrdef, pg_operator and pg_rewrite, 750 is that of array_in
// and 12 that of the language internal. OIDs from 16384 on are of objects that were made after
// the database was.
func catalogueQueries() []string {
	return []string{
		`SELECT pg_catalog.current_setting('search_path'), pg_catalog.set_config('search_path', '` + neutralPath + `', true)`,
		`SELECT c.oid, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c` +
			` JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')`,
		`SELECT a.attrelid, a.attnum, a.attname FROM pg_catalog.pg_attribute a` +
			` JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S')`,
		`SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits`,
		`SELECT DISTINCT r.ev_class, d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid` +
			` WHERE d.classid = 2618 AND d.refclassid = 1259 AND r.ev_type = '1'`,
		blindViews,
		`SELECT DISTINCT ev_class FROM pg_catalog.pg_rewrite WHERE ev_type <> '1'`,
		`SELECT ad.adrelid, ad.adnum, d.refobjsubid FROM pg_catalog.pg_attrdef ad` +
			` JOIN pg_catalog.pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum` +
			` JOIN pg_catalog.pg_depend d ON d.classid = 2604 AND d.objid = ad.oid` +
			` OR d.classid = 1259 AND d.objid = ad.adrelid AND d.objsubid = ad.adnum` +
			` WHERE a.attgenerated <> '' AND d.refclassid = 1259 AND d.refobjid = ad.adrelid AND d.refobjsubid NOT IN (0, ad.adnum)`,
		ownFunctions, ownOperators, viewDefinitions,
		`SELECT p.proname, p.provolatile, p.oid, n.nspname, p.proargtypes, p.prorettype` +
			` FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid < 16384`,
		`SELECT t.oid, pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t` +
			` WHERE t.oid IN (SELECT pg_catalog.unnest(p.proargtypes) FROM pg_catalog.pg_proc p)`,
		fieldTypes, ownTypes, partitionKeys, domainColumns, ownCasts,
		`SELECT nspname FROM pg_catalog.pg_namespace WHERE pg_catalog.has_schema_privilege(oid, 'USAGE')`,
		`SELECT current_user, ` + pathOrigin,
	}
}

// neutralPath is the search path along which the catalogue is read, whatever the
// session's: nothing that users made is in the way, and the texts of views say where
// everything is. It lasts for the transaction, which is the gateway's own.
const neutralPath = "pg_catalog, pg_temp"

// pathOrigin is a text of all that a new session's search path comes from: the
// server's configuration, and what is set for the user and the database.
const pathOrigin = `coalesce((SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'), '') || coalesce((` +
	`SELECT string_agg(s.setrole::text || ' ' || s.setdatabase::text || ' ' || s.setconfig::text, ' ' ORDER BY s.setrole, s.setdatabase)` +
	` FROM pg_catalog.pg_db_role_setting s WHERE s.setconfig::text LIKE '%search!_path=%' ESCAPE '!'` +
	` AND s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = session_user))` +
	` AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))), '')`

// fieldTypes are the types of the fields of composites, and of tables, which are
// composites too. ownTypes are all that are not built in or whose OIDs are not the
// same everywhere, with the type that a domain is of, the elements of an array, the
// fields' relation of a composite, an enum's first label, and whether a base type
// is written as text is.
const (
	fieldTypes = `SELECT a.attrelid, a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid` +
		` WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid >= 16384 AND c.relkind IN ('r', 'v', 'm', 'p', 'f', 'c') ORDER BY a.attrelid, a.attnum`
	ownTypes = `SELECT t.oid, t.typtype, t.typbasetype, t.typtypmod, CASE WHEN t.typinput::oid = 750 THEN t.typelem ELSE 0 END, t.typrelid,` +
		` coalesce((SELECT e.enumlabel FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1), ''),` +
		` EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.oid = t.typinput AND p.prosrc = 'textin' AND p.prolang = 12)` +
		` FROM pg_catalog.pg_type t WHERE t.oid >= 10000`
)

// partitionKeys are the columns by which tables are partitioned, 0 for an expression.
// domainColumns are the columns in whose values there is one of a domain's, be it in
// an array, a composite, or a domain over it.
const (
	partitionKeys = `SELECT partrelid, partattrs FROM pg_catalog.pg_partitioned_table`
	domainColumns = `WITH RECURSIVE holds (domain, class, id, sub) AS (` +
		`SELECT t.oid, 1247::oid, t.oid, 0 FROM pg_catalog.pg_type t WHERE t.typtype = 'd' AND t.oid >= 16384` +
		` UNION SELECT h.domain, x.class, x.id, x.sub FROM holds h JOIN (` +
		`SELECT d.refclassid AS held, d.refobjid AS what, d.classid AS class, d.objid AS id, d.objsubid AS sub` +
		` FROM pg_catalog.pg_depend d WHERE d.refclassid = 1247 AND d.classid IN (1247, 1259)` +
		` UNION ALL SELECT 1259, c.oid, 1247, c.reltype, 0 FROM pg_catalog.pg_class c WHERE c.reltype <> 0` +
		`) x ON x.held = h.class AND x.what = h.id)` +
		` SELECT n.nspname, t.typname, h.id, h.sub FROM holds h JOIN pg_catalog.pg_type t ON t.oid = h.domain` +
		` JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE h.class = 1259 AND h.sub > 0`
)

// blindViews are the views that read through code: functions and operators that
// users made, but for those of extensions, which compute from their arguments
// unless they are known to run SQL; and built-in functions and tables that the
// server does not note a dependency on.
//
// With each comes the name of the function if it may do more than read.
const blindViews = `SELECT r.ev_class, CASE WHEN p.provolatile = 'v' THEN n.nspname || '.' || p.proname ELSE '' END FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON d.classid = 2618 AND d.objid = r.oid` +
	` LEFT JOIN pg_catalog.pg_operator o ON d.refclassid = 2617 AND o.oid = d.refobjid` +
	` JOIN pg_catalog.pg_proc p ON p.oid = CASE d.refclassid WHEN 1255 THEN d.refobjid ELSE o.oprcode::oid END` +
	` JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace` +
	` WHERE r.ev_type = '1' AND d.refclassid IN (1255, 2617) AND p.oid >= 16384 AND (p.proname ~ '` + runsSQLNames + `' OR NOT ` + ofExtension + `)` +
	` UNION SELECT r.ev_class, '' FROM pg_catalog.pg_rewrite r WHERE r.ev_type = '1' AND r.ev_class >= 16384 AND r.ev_action::text ~ (` +
	`SELECT ':(relid (2613|2619|3429)|funcid (0' || coalesce(string_agg('|' || p.oid, ''), '') || ')) ' FROM pg_catalog.pg_proc p` +
	` WHERE p.oid < 16384 AND p.proname ~ '` + readsOutsideNames + `')`

// ofExtension says that the function p belongs to an extension.
const ofExtension = `EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 1255 AND e.objid = p.oid AND e.deptype = 'e')`

// runsSQLNames match functions of extensions that run SQL text, readsOutsideNames
// the built-in functions that do, or that read files, large objects and the log.
const (
	runsSQLNames      = `^(dblink|crosstab|connectby|xpath_table|pg_background_|cron_)`
	readsOutsideNames = `_to_xml|^(ts_stat|lo_get|loread|lo_open|pg_read_|pg_logical_slot_|pg_stat_get_activity|pg_stat_get_backend_activity|set_config)`
)

// ownFunctions are the functions that users made, with their volatility, whether
// they have the name of a built-in one, and whether an extension brought them.
// ownOperators are the operators that users made, or whose functions, and whether
// these only compute.
const (
	ownFunctions = `SELECT n.nspname, p.proname, p.provolatile, EXISTS (SELECT FROM pg_catalog.pg_proc b WHERE b.proname = p.proname AND b.oid < 16384), ` + ofExtension + `, p.prosecdef, p.oid, p.proargtypes, p.prorettype` +
		` FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384`
	ownOperators = `SELECT o.oprname, bool_and(p.provolatile = 'i' OR ` + ofExtension + `) FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode` +
		` WHERE o.oid >= 16384 OR p.oid >= 16384 GROUP BY o.oprname`
)

// viewDefinitions are the texts of views, as the server would read them along
// neutralPath. To write one down the server locks what the view
// reads, so that those are left out of which a part is being changed.
const viewDefinitions = `SELECT c.oid, coalesce(pg_catalog.pg_get_viewdef(c.oid), '') FROM pg_catalog.pg_class c` +
	` WHERE c.relkind IN ('v', 'm') AND c.oid IN (SELECT v.oid FROM pg_catalog.pg_class v JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'` +
	` WHERE v.relkind IN ('v', 'm') AND v.oid >= 16384 AND pg_catalog.length(r.ev_action::text) < 262144 ORDER BY v.oid LIMIT 2048)` +
	` AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_depend d ON d.refclassid = 1259 AND d.refobjid = l.relation` +
	` JOIN pg_catalog.pg_rewrite r ON d.classid = 2618 AND r.oid = d.objid` +
	` WHERE l.mode = 'AccessExclusiveLock' AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) AND r.ev_class = c.oid)`

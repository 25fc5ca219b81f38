//go:build cgo && !windows

package pgparse

/*
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// What follows mirrors the parts of libpg_query that its Go package compiles
// and links. They are called directly because its own entry point redirects
// the process's standard error to a pipe around each parse, which loses other
// goroutines' output, races between threads and fails when descriptors run out.

typedef struct {
	size_t len;
	char *data;
} headgate_buffer;

typedef struct {
	int elevel;
	bool output_to_server, output_to_client, hide_stmt, hide_ctx;
	const char *filename;
	int lineno;
	const char *funcname, *domain, *context_domain;
	int sqlerrcode;
	char *message, *detail, *detail_log, *hint, *context, *backtrace;
	const char *message_id;
	char *schema_name, *table_name, *column_name, *datatype_name, *constraint_name;
	int cursorpos;
} headgate_error_data;

extern __thread sigjmp_buf *PG_exception_stack;
extern __thread void *error_context_stack;
extern __thread void *CurrentMemoryContext;
extern void *pg_query_enter_memory_context(void);
extern void pg_query_exit_memory_context(void *ctx);
extern void *raw_parser(const char *str, int mode);
extern headgate_buffer pg_query_nodes_to_protobuf(const void *obj);
extern headgate_error_data *CopyErrorData(void);
extern void FlushErrorState(void);

typedef struct {
	headgate_buffer tree;
	char *message; // NULL on success
	char *detail, *hint; // may be NULL
	const char *filename, *funcname;
	int cursorpos, sqlerrcode;
} headgate_result;

static headgate_result headgate_parse(const char *sql) {
	headgate_result result;
	memset(&result, 0, sizeof result);
	void *ctx = pg_query_enter_memory_context();
	sigjmp_buf *saved_stack = PG_exception_stack;
	void *saved_context = error_context_stack;
	sigjmp_buf here;
	if (sigsetjmp(here, 0) == 0) {
		PG_exception_stack = &here;
		result.tree = pg_query_nodes_to_protobuf(raw_parser(sql, 0));
		PG_exception_stack = saved_stack;
		error_context_stack = saved_context;
	} else {
		PG_exception_stack = saved_stack;
		error_context_stack = saved_context;
		CurrentMemoryContext = ctx;
		headgate_error_data *e = CopyErrorData();
		result.message = strdup(e->message ? e->message : "syntax error");
		result.detail = e->detail ? strdup(e->detail) : NULL;
		result.hint = e->hint ? strdup(e->hint) : NULL;
		result.filename = e->filename; // constants of the library
		result.funcname = e->funcname;
		result.cursorpos = e->cursorpos;
		result.sqlerrcode = e->sqlerrcode;
		FlushErrorState();
	}
	pg_query_exit_memory_context(ctx);
	return result;
}
*/
import "C"

import (
	"unsafe"

	_ "github.com/pganalyze/pg_query_go/v6" // links the C library
)

// rawParse parses text that has passed the limits. The tree is the protobuf
// encoding of a ParseResult.
func rawParse(sql string) ([]byte, error) {
	text := C.CString(sql)
	defer C.free(unsafe.Pointer(text))
	res := C.headgate_parse(text)
	if res.message != nil {
		defer C.free(unsafe.Pointer(res.message))
		defer C.free(unsafe.Pointer(res.detail))
		defer C.free(unsafe.Pointer(res.hint))
		return nil, &SyntaxError{
			Message: C.GoString(res.message), Position: int(res.cursorpos),
			Code: sqlState(int(res.sqlerrcode)), Detail: C.GoString(res.detail), Hint: C.GoString(res.hint),
			File: sourceFile(C.GoString(res.filename)), Routine: C.GoString(res.funcname),
		}
	}
	defer C.free(unsafe.Pointer(res.tree.data))
	return C.GoBytes(unsafe.Pointer(res.tree.data), C.int(res.tree.len)), nil
}

/* table.h: TABLE: rows of named values, numbers and texts. Immutable once emitted. */
#ifndef NODES_TABLE_H
#define NODES_TABLE_H
#include <nodus/node.h>

enum { TABLE_MOST_COLUMNS = 1000, TABLE_MOST_CELLS = 1000000 };

/* What stands there, as it prints. text NULL: nothing. */
typedef struct Cell {
    char *text;
    bool number;
} Cell;

typedef struct Table {
    int64_t columns, rows;
    char **name; /* of the columns; they differ */
    Cell *cell;  /* row by row */
} Table;

/* Empty cells, columns without names yet; NULL when out of memory. Freed by table_free, or emitted as type_table. */
Table *table_new(int64_t columns, int64_t rows);
void table_free(void *table);
static inline const Cell *table_cell(const Table *table, int64_t row, int64_t column)
{
    return &table->cell[row * table->columns + column];
}
/* −1: there is no such column. */
int64_t table_column(const Table *table, const char *name);
/* The next of the names between commas, without blanks around it, or NULL; *rest is written into. */
char *table_next_name(char **rest);
/* Letters of a text in UTF-8. */
int table_letters(const char *text);

extern const NodusType type_table;
#endif

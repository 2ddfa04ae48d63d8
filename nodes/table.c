/* table.c: TABLE and the nodes that make, join and save tables: TableRow, TableJoin, SaveTable.
 *
 * One idea: a cell is the text that its value prints as, and whether that is a number; so a table keeps every digit, and printing, CSV and
 * joining are about texts only. Tables with other columns join too: columns are found by name, what a table lacks stays empty. */
#include "nodes/table.h"
#include "engine/base/memory.h"
#include "engine/base/status.h"
#include "engine/base/text.h"
#include "nodes/output_file.h"
#include "nodes/util.h"
#include <string.h>

#define EXAMPLE "graphs/tables.json"

/* ---- The type --------------------------------------------------------------------------------------------------------- */

void table_free(void *payload)
{
    Table *table = payload;
    for (int64_t i = 0; table->name && i < table->columns; i++) memory_free(table->name[i]);
    for (int64_t i = 0; table->cell && i < table->columns * table->rows; i++) memory_free(table->cell[i].text);
    memory_free(table->name);
    memory_free(table->cell);
    memory_free(table);
}

Table *table_new(int64_t columns, int64_t rows)
{
    Table *table = memory_alloc(sizeof *table);
    if (!table) return NULL;
    *table = (Table){.columns = columns, .rows = rows};
    table->name = memory_array((size_t)columns, sizeof *table->name);
    table->cell = memory_array((size_t)(columns * rows), sizeof *table->cell);
    if (table->name && table->cell) return table;
    table_free(table);
    return NULL;
}

int64_t table_column(const Table *table, const char *name)
{
    for (int64_t i = 0; i < table->columns; i++)
        if (table->name[i] && !strcmp(table->name[i], name)) return i;
    return -1;
}

char *table_next_name(char **rest)
{
    for (char *name; (name = strsep(rest, ","));) {
        while (*name == ' ') name++;
        for (size_t n = strlen(name); n && name[n - 1] == ' ';) name[--n] = '\0';
        if (*name) return name;
    }
    return NULL;
}

int table_letters(const char *text)
{
    int letters = 0;
    for (; *text; text++) letters += ((unsigned char)*text & 0xc0) != 0x80;
    return letters;
}

static void table_account(const void *payload, NodusAccount *account)
{
    const Table *table = payload;
    size_t bytes = (size_t)table->columns * sizeof *table->name + (size_t)(table->columns * table->rows) * sizeof *table->cell;
    for (int64_t i = 0; i < table->columns * table->rows; i++) bytes += table->cell[i].text ? strlen(table->cell[i].text) + 1 : 0;
    nodus_account(account, table, "cpu", bytes);
}

static NodusStatus print_cell(NodusText *out, const char *text, int width, bool right, bool last)
{
    const int blanks = width - table_letters(text);
    if (right) return nodus_print(out, "%*s%s%s", blanks, "", text, last ? "\n" : "  ");
    return nodus_print(out, "%s%*s%s", text, last ? 0 : blanks + 2, "", last ? "\n" : "");
}

/* Numbers to the right, texts to the left. */
static NodusStatus table_print(const void *payload, NodusText *out)
{
    const Table *table = payload;
    int *width = memory_array((size_t)table->columns, 2 * sizeof *width), *numbers = width + table->columns;
    NodusStatus status = width ? NULL : status_memory();
    for (int64_t c = 0; !status && c < table->columns; c++) {
        width[c] = table_letters(table->name[c]);
        numbers[c] = 1;
        for (int64_t r = 0; r < table->rows; r++) {
            const Cell *cell = table_cell(table, r, c);
            const int letters = cell->text ? table_letters(cell->text) : 0;
            if (letters > width[c]) width[c] = letters;
            if (cell->text && !cell->number) numbers[c] = 0;
        }
    }
    for (int64_t r = -1; !status && r < table->rows; r++)
        for (int64_t c = 0; !status && c < table->columns; c++) {
            const char *text = r < 0 ? table->name[c] : table_cell(table, r, c)->text;
            status = print_cell(out, text ? text : "", width[c], numbers[c], c + 1 == table->columns);
        }
    memory_free(width);
    return status;
}

static NodusStatus table_store(const void *payload, NodusWriter *writer)
{
    const Table *table = payload;
    NODUS_TRY(nodus_write_u64(writer, (uint64_t)table->columns));
    NODUS_TRY(nodus_write_u64(writer, (uint64_t)table->rows));
    for (int64_t i = 0; i < table->columns; i++) NODUS_TRY(nodus_write_text(writer, table->name[i]));
    for (int64_t i = 0; i < table->columns * table->rows; i++) {
        NODUS_TRY(nodus_write_text(writer, table->cell[i].text));
        NODUS_TRY(nodus_write_u64(writer, table->cell[i].number));
    }
    return NULL;
}

static NodusStatus load_cells(NodusReader *reader, Table *table)
{
    for (int64_t i = 0; i < table->columns; i++) {
        NODUS_TRY(nodus_read_text(reader, &table->name[i]));
        if (!table->name[i]) return nodus_error(NODUS_ERROR_FILE, "a table with a column that has no name");
    }
    for (int64_t i = 0; i < table->columns * table->rows; i++) {
        uint64_t number;
        NODUS_TRY(nodus_read_text(reader, &table->cell[i].text));
        NODUS_TRY(nodus_read_u64(reader, &number));
        table->cell[i].number = number;
    }
    return NULL;
}

static NodusStatus table_load(NodusReader *reader, void **payload)
{
    uint64_t columns, rows;
    NODUS_TRY(nodus_read_u64(reader, &columns));
    NODUS_TRY(nodus_read_u64(reader, &rows));
    if (!columns || columns > TABLE_MOST_COLUMNS || rows > TABLE_MOST_CELLS / columns)
        return nodus_error(NODUS_ERROR_FILE, "a table of a size that no table has");
    Table *table = table_new((int64_t)columns, (int64_t)rows);
    if (!table) return status_memory();
    NodusStatus status = load_cells(reader, table);
    if (status) table_free(table);
    else *payload = table;
    return status;
}

const NodusType type_table = {.struct_size = sizeof(NodusType),
                              .name = "TABLE",
                              .free = table_free,
                              .account = table_account,
                              .print = table_print,
                              .store = table_store,
                              .load = table_load,
                              .version = 1};

/* ---- TableRow --------------------------------------------------------------------------------------------------------- */

#define LABEL "label"
typedef struct {
    const char *label;
} TableRowArgs;

static bool is_any_of(const char *type, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(type, *names)) return true;
    return false;
}

static NodusStatus row_put(NodusCall *call, Table *table, int64_t column, const char *name, const NodusValue *value)
{
    static const char *const numbers[] = {"INT", "FLOAT", NULL}, *const texts[] = {"STRING", "BOOLEAN", NULL};
    const char *type = nodus_value_type(value);
    NodusText *text = nodus_text(call);
    Cell *cell = &table->cell[column];
    cell->number = is_any_of(type, numbers);
    if (!cell->number && !is_any_of(type, texts))
        return nodus_input_error(call, name, "is a value of type %s: a cell of a table is a number or a text", type);
    if (!text) return status_memory();
    NODUS_TRY(nodus_value_print(value, text));
    table->name[column] = memory_text(name);
    cell->text = memory_text(nodus_text_get(text));
    return table->name[column] && cell->text ? NULL : status_memory();
}

static NodusStatus row_fill(NodusCall *call, const char *label, Table *table)
{
    const uint32_t extra = nodus_extra_count(call);
    const int64_t first = *label ? 1 : 0;
    if (first) {
        table->name[0] = memory_text(LABEL);
        table->cell[0].text = memory_text(label);
        if (!table->name[0] || !table->cell[0].text) return status_memory();
    }
    for (uint32_t i = 0; i < extra; i++) {
        const NodusList list = nodus_extra_list(call, i);
        const char *name = nodus_extra_name(call, i);
        if (!list.count) return nodus_input_error(call, name, "is linked to nothing");
        NODUS_TRY(row_put(call, table, first + i, name, list.item[0]));
    }
    return NULL;
}

static NodusStatus table_row(NodusCall *call, const void *args)
{
    const TableRowArgs *in = args;
    const int64_t columns = (*in->label ? 1 : 0) + (int64_t)nodus_extra_count(call);
    if (!columns) return nodus_input_error(call, LABEL, "the row is empty: give a label, or inputs of any names: each is a column");
    if (columns > TABLE_MOST_COLUMNS) return nodus_input_error(call, LABEL, "a table has at most %d columns", TABLE_MOST_COLUMNS);
    Table *table = table_new(columns, 1);
    if (!table) return status_memory();
    NodusStatus status = row_fill(call, in->label, table);
    if (!status) return nodus_emit(call, 0, &type_table, table);
    table_free(table);
    return status;
}

static const NodusInput row_inputs[] = {
    NODUS_IN_STRING(LABEL, TableRowArgs, label, "What stands in the column \"label\"; empty: there is no such column.", .def = ""),
};
static const NodusOutput table_outputs[] = {{.name = "TABLE", .type = "TABLE", .tooltip = "The table."}};
const NodusNode node_table_row = {
    NODUS_NODE("TableRow", "Table Row", "table", TableRowArgs, row_inputs, table_outputs),
    .flags = NODUS_VARIADIC,
    .help = "A table of one row. Besides the label, every input of any name is a column of that name: a number or a text.",
    .example = EXAMPLE,
    .run = table_row,
};

/* ---- TableJoin -------------------------------------------------------------------------------------------------------- */

typedef struct {
    NodusList tables;
    const char *columns;
} TableJoinArgs;

/* All tables of a call, in order. */
typedef struct Pile {
    const Table **table;
    int64_t count, rows;
    const char **name; /* each column once */
    int64_t names;
    bool chosen; /* which columns there are is said: others are left out */
} Pile;

static NodusStatus pile_name(NodusCall *call, Pile *pile, const char *input, const char *name)
{
    for (int64_t i = 0; i < pile->names; i++)
        if (!strcmp(pile->name[i], name)) return NULL;
    if (pile->names == TABLE_MOST_COLUMNS) return nodus_input_error(call, input, "a table has at most %d columns", TABLE_MOST_COLUMNS);
    pile->name[pile->names++] = name;
    return NULL;
}

/* Names between commas. */
static NodusStatus pile_choose(NodusCall *call, Pile *pile, const char *columns)
{
    char *rest = nodus_alloc(call, strlen(columns) + 1);
    if (!rest) return status_memory();
    strcpy(rest, columns);
    for (const char *name; (name = table_next_name(&rest));) NODUS_TRY(pile_name(call, pile, "columns", name));
    pile->chosen = pile->names;
    return NULL;
}

static NodusStatus pile_add(NodusCall *call, Pile *pile, const char *input, const NodusValue *value)
{
    if (strcmp(nodus_value_type(value), "TABLE"))
        return nodus_input_error(call, input, "is a value of type %s, not a TABLE", nodus_value_type(value));
    const Table *table = nodus_value_payload(value);
    for (int64_t c = 0; c < table->columns && !pile->chosen; c++) NODUS_TRY(pile_name(call, pile, input, table->name[c]));
    pile->table[pile->count++] = table;
    pile->rows += table->rows;
    return NULL;
}

/* "no table has a column 'psnr ': they have label, psnr". */
static NodusStatus pile_stranger(NodusCall *call, const Pile *pile, const char *stranger)
{
    enum { SHOWN = 12 };
    const char *name[TABLE_MOST_COLUMNS];
    Pile there = {.name = name};
    NodusText *text = nodus_text(call);
    if (!text) return status_memory();
    for (int64_t i = 0; i < pile->count; i++)
        for (int64_t c = 0; c < pile->table[i]->columns && there.names <= SHOWN; c++)
            NODUS_TRY(pile_name(call, &there, "columns", pile->table[i]->name[c]));
    for (int64_t i = 0; i < there.names && i < SHOWN; i++) NODUS_TRY(nodus_print(text, "%s%.40s", i ? ", " : "", there.name[i]));
    return nodus_input_error(call, "columns", "no table has a column '%.100s': they have %s%s", stranger, nodus_text_get(text),
                             there.names > SHOWN ? " and more" : "");
}

/* A chosen column that no table has would be empty without a word. */
static NodusStatus pile_check(NodusCall *call, const Pile *pile)
{
    for (int64_t i = 0; i < pile->names && pile->chosen && pile->count; i++) {
        int64_t k = 0;
        while (k < pile->count && table_column(pile->table[k], pile->name[i]) < 0) k++;
        if (k == pile->count) return pile_stranger(call, pile, pile->name[i]);
    }
    return NULL;
}

static NodusStatus pile_open(NodusCall *call, const TableJoinArgs *in, Pile *pile)
{
    size_t count = in->tables.count;
    for (uint32_t i = 0; i < nodus_extra_count(call); i++) count += nodus_extra_list(call, i).count;
    *pile = (Pile){.table = nodus_alloc(call, (count + 1) * sizeof *pile->table),
                   .name = nodus_alloc(call, TABLE_MOST_COLUMNS * sizeof *pile->name)};
    if (!pile->table || !pile->name) return status_memory();
    NODUS_TRY(pile_choose(call, pile, in->columns));
    for (uint32_t i = 0; i < in->tables.count; i++) NODUS_TRY(pile_add(call, pile, "tables", in->tables.item[i]));
    for (uint32_t i = 0; i < nodus_extra_count(call); i++) {
        const NodusList list = nodus_extra_list(call, i);
        for (uint32_t k = 0; k < list.count; k++) NODUS_TRY(pile_add(call, pile, nodus_extra_name(call, i), list.item[k]));
    }
    NODUS_TRY(pile_check(call, pile));
    if (!pile->names) return nodus_input_error(call, "tables", "there is no table to join");
    if (pile->rows > TABLE_MOST_CELLS / pile->names)
        return nodus_input_error(call, "tables", "together they have more than %d cells", TABLE_MOST_CELLS);
    return NULL;
}

static bool pile_copy(const Pile *pile, Table *out)
{
    Cell *row = out->cell;
    for (int64_t c = 0; c < pile->names; c++)
        if (!(out->name[c] = memory_text(pile->name[c]))) return false;
    for (int64_t i = 0; i < pile->count; i++)
        for (int64_t r = 0; r < pile->table[i]->rows; r++, row += out->columns)
            for (int64_t c = 0; c < pile->table[i]->columns; c++) {
                const Cell *from = table_cell(pile->table[i], r, c);
                const int64_t column = table_column(out, pile->table[i]->name[c]);
                Cell *to = &row[column];
                if (column < 0) continue;
                *to = (Cell){memory_text(from->text), from->number};
                if (from->text && !to->text) return false;
            }
    return true;
}

static NodusStatus table_join(NodusCall *call, const void *args)
{
    Pile pile;
    NODUS_TRY(pile_open(call, args, &pile));
    Table *table = table_new(pile.names, pile.rows);
    if (!table) return status_memory();
    if (pile_copy(&pile, table)) return nodus_emit(call, 0, &type_table, table);
    table_free(table);
    return status_memory();
}

static const NodusInput join_inputs[] = {
    NODUS_FLAG_LINK(NODUS_WHOLE_LIST, "tables", TableJoinArgs, tables, "TABLE", "A table, or a list of them."),
    NODUS_FLAG_STRING(NODUS_OPTIONAL, "columns", TableJoinArgs, columns,
                      "Which columns, in which order, between commas; empty: all, as they come. Some table must have each.", .def = ""),
};
const NodusNode node_table_join = {
    NODUS_NODE("TableJoin", "Join Tables", "table", TableJoinArgs, join_inputs, table_outputs),
    .flags = NODUS_TAKES_LISTS | NODUS_VARIADIC,
    .help = "One table below the other. Further inputs of any name take further tables. Columns are matched by name; where a table lacks "
            "one, the cells stay empty.",
    .example = EXAMPLE,
    .run = table_join,
};

/* ---- SaveTable -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Table *table;
    const char *filename_prefix;
} SaveTableArgs;

/* A field of a CSV file (RFC 4180), as engine/cli/sweep.c writes it. */
static void csv_field(Text *out, const char *text, bool last)
{
    const bool quoted = strpbrk(text, ",\"\r\n");
    if (quoted) text_char(out, '"');
    for (; *text; text++) {
        if (*text == '"') text_char(out, '"');
        text_char(out, *text);
    }
    text_add(out, quoted ? last ? "\"\r\n" : "\"," : last ? "\r\n" : ",");
}

static void csv(const Table *table, Text *out)
{
    for (int64_t r = -1; r < table->rows; r++)
        for (int64_t c = 0; c < table->columns; c++) {
            const char *text = r < 0 ? table->name[c] : table_cell(table, r, c)->text;
            csv_field(out, text ? text : "", c + 1 == table->columns);
        }
}

static NodusStatus table_save(NodusCall *call, const void *args)
{
    const SaveTableArgs *in = args;
    OutputSeries series;
    Text text = {0};
    char *file;
    NODUS_TRY(output_series(call, "output", in->filename_prefix, 0, 0, &series));
    csv(in->table, &text);
    const size_t size = text.length;
    NODUS_TRY(text_take(&text, &file));
    NodusStatus status = output_write(&series, 0, ".csv", file, size, "tables");
    memory_free(file);
    return status ? status : util_show(call, nodus_input_value(call, 0));
}

static const NodusInput save_inputs[] = {
    NODUS_IN_LINK("table", SaveTableArgs, table, "TABLE", "What to write."),
    NODUS_IN_STRING("filename_prefix", SaveTableArgs, filename_prefix, "Sub-folder and beginning of the name, in the output folder.",
                    .def = "tables/table"),
};
const NodusNode node_save_table = {
    NODUS_NODE_END("SaveTable", "Save Table", "table", SaveTableArgs, save_inputs),
    .flags = NODUS_OUTPUT | NODUS_IO,
    .help = "Write a table as a CSV file (RFC 4180), and show it.",
    .example = EXAMPLE,
    .run = table_save,
};

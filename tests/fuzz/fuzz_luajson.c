/* fuzz_luajson.c: any bytes for the JSON reader of Lua's side (lua/json.c), in one state with a limit. It ends in a value or an
 * error; and what the engine's own reader accepts and prints, it reads as the same value. */
#include "engine/formats/json.h"
#include "lua/script.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 16 << 20, DEEPEST = 140 /* below that of lua/json.c */ };
static NodusScript *script;

static void require(bool condition)
{
    if (!condition) __builtin_trap();
}

static void open_script(void)
{
    static const NodusEngineOptions engine_options = {.struct_size = sizeof engine_options,
                                                      .threads = 1,
                                                      .memory = 64 << 20,
                                                      .device = "ref",
                                                      .base_directory = "/dev/null/none"};
    static const NodusScriptOptions options = {.struct_size = sizeof options, .memory = LIMIT, .seconds = 1e9};
    NodusEngine *engine;
    require(!nodus_engine_new(&engine_options, &engine));
    require(!nodus_script_open(engine, &options, &script));
    lua_newtable(script->L);
    json_open(script->L);
}

/* Leaves the value, or the error, on the stack. */
static bool read_json(const char *text, size_t length)
{
    lua_getfield(script->L, 1, "json_read");
    lua_pushlstring(script->L, text, length);
    return lua_pcall(script->L, 1, 1, 0) == LUA_OK;
}

static bool is_deep(const cJSON *item, int depth)
{
    if (depth > DEEPEST) return true;
    for (const cJSON *child = item->child; child; child = child->next)
        if (is_deep(child, depth + 1)) return true;
    return false;
}

static void expect_equal(lua_State *L, const cJSON *item);

/* The number on top: an integer of Lua, a table where only an unsigned one holds it, else a float. */
static void expect_number(lua_State *L, const cJSON *item)
{
    bool negative;
    uint64_t magnitude;
    const bool whole = json_integer(item, &negative, &magnitude);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "n");
        require(whole && !negative && magnitude > INT64_MAX && (uint64_t)lua_tointeger(L, -1) == magnitude);
        lua_pop(L, 1);
    } else if (lua_isinteger(L, -1)) require(whole && (uint64_t)lua_tointeger(L, -1) == (negative ? 0 - magnitude : magnitude));
    else require(lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == json_double(item));
}

static void expect_list(lua_State *L, const cJSON *item)
{
    lua_Integer count = 0;
    for (const cJSON *child = item->child; child; child = child->next) {
        lua_rawgeti(L, -1, ++count);
        expect_equal(L, child);
    }
    lua_getfield(L, -1, "n");
    require(lua_tointeger(L, -1) == count);
    lua_pop(L, 1);
}

static void expect_object(lua_State *L, const cJSON *item)
{
    for (const cJSON *child = item->child; child; child = child->next) {
        lua_pushstring(L, child->string);
        lua_rawget(L, -2);
        expect_equal(L, json_get(item, child->string)); /* of duplicates, the last */
    }
}

/* The value on top of the stack is that item; takes it off. */
static void expect_equal(lua_State *L, const cJSON *item)
{
    luaL_checkstack(L, 4, "values");
    if (cJSON_IsArray(item)) expect_list(L, item);
    else if (cJSON_IsObject(item)) expect_object(L, item);
    else if (cJSON_IsString(item)) require(lua_type(L, -1) == LUA_TSTRING && !strcmp(lua_tostring(L, -1), item->valuestring));
    else if (cJSON_IsBool(item)) require(lua_isboolean(L, -1) && lua_toboolean(L, -1) == cJSON_IsTrue(item));
    else if (cJSON_IsNull(item)) require(lua_islightuserdata(L, -1));
    else expect_number(L, item);
    lua_pop(L, 1);
}

/* Numbers as prompts may have them: of 64 bits, or with fewer than 64 characters. */
static bool has_long_number(const cJSON *item)
{
    if (json_is_number(item) && strlen(item->valuestring) > 60) return true;
    for (const cJSON *child = item->child; child; child = child->next)
        if (has_long_number(child)) return true;
    return false;
}

static void compare(const char *data, size_t size)
{
    Json *json;
    Text printed = {0};
    NodusStatus status = json_parse(data, size, &json);
    if (!status && !is_deep(json_root(json), 1) && !has_long_number(json_root(json))) {
        json_print(&printed, json_root(json), false, true);
        Json *again;
        require(!json_parse(text_get(&printed), printed.length, &again)); /* without infinities, which became null */
        if (read_json(text_get(&printed), printed.length)) expect_equal(script->L, json_root(again));
        else require(strstr(lua_tostring(script->L, -1), "memory") != NULL);
        json_free(again);
    }
    text_free(&printed);
    if (!status) json_free(json);
    nodus_error_free(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!script) open_script();
    lua_settop(script->L, 1);
    if (!read_json((const char *)data, size)) require(lua_type(script->L, -1) == LUA_TSTRING);
    lua_settop(script->L, 1);
    compare((const char *)data, size);
    lua_settop(script->L, 1);
    lua_gc(script->L, LUA_GCCOLLECT, 0);
    return 0;
}

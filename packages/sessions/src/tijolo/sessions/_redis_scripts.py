"""What :class:`~tijolo.sessions.redis.RedisSessionStore` does in Redis, in Lua.

A session is a hash, ``<prefix>s:<session_id>``:

    r  what does not change, as JSON       u  the user, or ''        e  the user's epoch, or ''
    l  last seen   x  expires   a  ends at the latest        i  may go unused for, or ''
    p  public_id                f  rotated from, or ''       d"<name>"  data: both as JSON

all times in milliseconds. The hash of an id that was rotated with an overlap has ``to``, the new
id, and ``until`` once that was used; before, the session has ``o``, the overlap.
``<prefix>e:<user>`` is the user's epoch: a random word, made by a login that finds none. A session
lives only while its ``e`` is that word, so that ending all of them is the loss of one key, and a
key that Redis lost for itself ends sessions and revives none. ``<prefix>u:<user>`` is a sorted set
of the user's sessions by ``x``, for the list of devices and the cap alone.

Keys are made in the script from what is stored; the hash tag in the prefix keeps them on one node
of a cluster.
"""

# A reading is every request's: these two scripts make no more functions than they call. The
# answer is one JSON text, because a client takes its time over each element of an array.
_READ = """
local function read(key)
  local raw, f, data = redis.call('HGETALL', key), {}, {}
  for n = 1, #raw, 2 do
    if string.byte(raw[n], 2) == 34 then
      data[#data + 1] = string.sub(raw[n], 2) .. ':' .. raw[n + 1]
    else
      f[raw[n]] = raw[n + 1]
    end
  end
  return f, data
end

local function lives(f, prefix, now)
  if not f.x or tonumber(f.x) <= now then return false end
  return f.u == '' or redis.call('GET', prefix .. 'e:' .. f.u) == f.e
end

local function answer(f, data, touched)
  return '[' .. f.r .. ',' .. f.l .. ',' .. f.x .. ',"' .. f.e .. '",' .. touched
    .. ',{' .. table.concat(data, ',') .. '}]'
end
"""

# the key; 1 now, 2 touch after milliseconds or ''. Each word costs a client a microsecond or two:
# the prefix is what is before the 64 characters of the id, and 's:'.
GET = (
    _READ
    + """
local key, now, after = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local prefix = string.sub(key, 1, -67)
local f, data = read(key)
if f.to then
  if f['until'] and tonumber(f['until']) <= now then return nil end
  key = prefix .. 's:' .. f.to
  f, data = read(key)
  f.o = nil
end
if not lives(f, prefix, now) then return nil end
local id = string.sub(key, -64)
local due = after ~= '' and now - tonumber(f.l) >= tonumber(after)
local first = f.o and after ~= ''
if not due and not first then return answer(f, data, 0) end
-- a server that is full, or only a replica, refuses to write: the session is there all the same
local function refused(...)
  local done = redis.pcall(...)
  return type(done) == 'table' and done.err
end
if first and not refused('HDEL', key, 'o') then
  local old, ends = prefix .. 's:' .. f.f, string.format('%.0f', now + tonumber(f.o))
  if redis.call('HGET', old, 'to') == id then
    redis.call('HSET', old, 'until', ends)
    redis.call('PEXPIREAT', old, ends)
  end
end
if not due or refused('HSET', key, 'l', ARGV[1]) then return answer(f, data, 0) end
f.l = ARGV[1]
if f.i ~= '' then
  local expires = math.min(now + tonumber(f.i), tonumber(f.a))
  if expires > tonumber(f.x) then
    f.x = string.format('%.0f', expires)
    redis.call('HSET', key, 'x', f.x)
    redis.call('PEXPIREAT', key, f.x)
    -- the set lives as long as the longest of its sessions, which put saw to
    if f.u ~= '' then redis.call('ZADD', prefix .. 'u:' .. f.u, 'XX', f.x, id) end
  end
end
return answer(f, data, 1)
"""
)

# ARGV as below; 3 user
LIST_BY_USER = (
    _READ
    + """
local prefix, now, found = ARGV[1], tonumber(ARGV[2]), {}
for _, id in ipairs(redis.call('ZRANGE', prefix .. 'u:' .. ARGV[3], 0, -1)) do
  local f, data = read(prefix .. 's:' .. id)
  if lives(f, prefix, now) then found[#found + 1] = answer(f, data, 0) end
end
return found
"""
)

# ARGV of all but GET: 1 prefix, 2 now
_COMMON = """
local prefix, now = ARGV[1], tonumber(ARGV[2])
local function session_key(id) return prefix .. 's:' .. id end
local function epoch_key(user) return prefix .. 'e:' .. user end
local function index_key(user) return prefix .. 'u:' .. user end

-- the fields u, e, x, a, l, i of a session that lives
local function living(id)
  local f = redis.call('HMGET', session_key(id), 'u', 'e', 'x', 'a', 'l', 'i')
  if not f[3] or tonumber(f[3]) <= now then return nil end
  if f[1] ~= '' and redis.call('GET', epoch_key(f[1])) ~= f[2] then return nil end
  return f
end

-- the id and the fields of a session that lives, by its own id or by the one before
local function follow(id)
  local f = living(id)
  if f then return id, f end
  local alias = redis.call('HMGET', session_key(id), 'to', 'until')
  if not alias[1] or (alias[2] and tonumber(alias[2]) <= now) then return id, nil end
  return alias[1], living(alias[1])
end

-- a key that serves several sessions lives as long as the last of them
local function live_until(key, moment)
  local left = redis.call('PTTL', key)
  if left < moment - now then redis.call('PEXPIREAT', key, string.format('%.0f', moment)) end
end

local function index(user, id, expires, latest)
  redis.call('ZADD', index_key(user), expires, id)
  live_until(index_key(user), tonumber(latest))
  live_until(epoch_key(user), tonumber(latest))
end

local function unlink(id)
  local before = redis.call('HGET', session_key(id), 'f') or ''
  if before ~= '' and redis.call('HGET', session_key(before), 'to') == id then
    redis.call('UNLINK', session_key(before))
  end
  redis.call('UNLINK', session_key(id))
end

local function forget(user, id)
  unlink(id)
  if user and user ~= '' then redis.call('ZREM', index_key(user), id) end
end

local function data_of(id)
  local found, data = redis.call('HGETALL', session_key(id)), {}
  for n = 1, #found, 2 do
    if string.byte(found[n], 2) == 34 then data[found[n]] = found[n + 1] end
  end
  return data
end

local function size_of(data)
  local size = 0
  for name, text in pairs(data) do size = size + #name - 3 + #text end
  return size
end

-- whether the data are over the limit, and were not so before
local function too_large(data, before, limit)
  local size = size_of(data)
  return size > limit and size > before
end

-- ARGV of what creates: 3 id, 4 user, 5 a new epoch, 6 max per user or 0, 7 data limit, 8 number
-- of words that follow: names and values of the record's fields; then names and values of data
local function put(epoch, data)
  local id, user, cap, latest = ARGV[3], ARGV[4], tonumber(ARGV[6]), 0
  -- nothing is written before what a full server refuses: after it, it would refuse nothing more
  if redis.call('EXISTS', session_key(id)) == 1 then redis.call('DEL', session_key(id)) end
  local fields = {'u', user, 'e', epoch}
  for n = 9, 8 + tonumber(ARGV[8]) do fields[#fields + 1] = ARGV[n] end
  for name, text in pairs(data) do
    fields[#fields + 1] = name
    fields[#fields + 1] = text
  end
  -- unpack has a limit
  for n = 1, #fields, 1000 do
    redis.call('HSET', session_key(id), unpack(fields, n, math.min(n + 999, #fields)))
  end
  local f = redis.call('HMGET', session_key(id), 'x', 'a')
  redis.call('PEXPIREAT', session_key(id), f[1])
  if user == '' then return end
  redis.call('ZREMRANGEBYSCORE', index_key(user), '-inf', string.format('%.0f', now))
  index(user, id, f[1], f[2])
  if cap == 0 or redis.call('ZCARD', index_key(user)) <= cap then return end
  local others = {}
  for _, other in ipairs(redis.call('ZRANGE', index_key(user), 0, -1)) do
    local l = living(other)
    if not l then forget(user, other)
    elseif other ~= id then others[#others + 1] = {tonumber(l[5]), other} end
  end
  table.sort(others, function(a, b) return a[1] > b[1] end)
  for n = math.max(1, cap), #others do forget(user, others[n][2]) end
end

local function new_data()
  local data = {}
  for n = 9 + tonumber(ARGV[8]), #ARGV, 2 do data[ARGV[n]] = ARGV[n + 1] end
  return data
end

local function epoch_of(user)
  if user == '' then return '' end
  redis.call('SET', epoch_key(user), ARGV[5], 'NX')
  return redis.call('GET', epoch_key(user))
end
"""

CREATE = (
    _COMMON
    + """
local data = new_data()
if size_of(data) > tonumber(ARGV[7]) then return {-1} end
local epoch = epoch_of(ARGV[4])
put(epoch, data)
return {1, epoch}
"""
)

# 3 id, 4 data limit, 5 number of words that follow: names and values; then names to remove
SAVE = (
    _COMMON
    + """
local id = ARGV[3]
if not living(id) then return 0 end
local data, last = data_of(id), 5 + tonumber(ARGV[5])
local before = size_of(data)
for n = last + 1, #ARGV do data[ARGV[n]] = nil end
for n = 6, last, 2 do data[ARGV[n]] = ARGV[n + 1] end
if too_large(data, before, tonumber(ARGV[4])) then return -1 end
for n = last + 1, #ARGV do redis.call('HDEL', session_key(id), ARGV[n]) end
for n = 6, last, 2 do redis.call('HSET', session_key(id), ARGV[n], ARGV[n + 1]) end
return 1
"""
)

# as CREATE; then the old id, the one that led to it or '', and the overlap in milliseconds
ROTATE = (
    _COMMON
    + """
local overlap = table.remove(ARGV)
local through, old = table.remove(ARGV), table.remove(ARGV)
local before = through ~= '' and through or old
-- the same call again, because its answer was lost
if redis.call('HGET', session_key(ARGV[3]), 'f') == before and living(ARGV[3]) then return 1 end
local f = living(old)
if not f then return 0 end
if through ~= '' then
  local unused = redis.call('HMGET', session_key(old), 'o', 'f')
  if not unused[1] or unused[2] ~= through then return 0 end
end
if f[1] ~= '' and f[1] ~= ARGV[4] then return -2 end
local data = data_of(old)
local size = size_of(data)
for name, text in pairs(new_data()) do data[name] = text end
if too_large(data, size, tonumber(ARGV[7])) then return -1 end
local epoch = f[2]
if f[1] == '' then epoch = epoch_of(ARGV[4]) end
forget(f[1], old)
put(epoch, data)
if overlap ~= '0' then
  redis.call('HSET', session_key(ARGV[3]), 'o', overlap)
  redis.call('HSET', session_key(before), 'to', ARGV[3])
  redis.call('PEXPIREAT', session_key(before), redis.call('HGET', session_key(ARGV[3]), 'a'))
end
return 1
"""
)

# 3 id
DELETE = (
    _COMMON
    + """
local id, f = follow(ARGV[3])
forget(redis.call('HGET', session_key(id), 'u'), id)
return f and 1 or 0
"""
)

# 3 user, 4 public_id
DELETE_BY_PUBLIC_ID = (
    _COMMON
    + """
for _, id in ipairs(redis.call('ZRANGE', index_key(ARGV[3]), 0, -1)) do
  if living(id) and redis.call('HGET', session_key(id), 'p') == ARGV[4] then
    forget(ARGV[3], id)
    return 1
  end
end
return 0
"""
)

# 3 user, 4 the id to keep or '', 5 a new epoch
DELETE_BY_USER = (
    _COMMON
    + """
local user, keep, ended = ARGV[3], ARGV[4], 0
local kept = keep ~= '' and living(keep)
if kept and kept[1] ~= user then kept = nil end
local ids = redis.call('ZRANGE', index_key(user), 0, -1)
for _, id in ipairs(ids) do
  if id ~= keep and living(id) then ended = ended + 1 end
end
redis.call('DEL', epoch_key(user), index_key(user))
if kept then
  redis.call('SET', epoch_key(user), ARGV[5])
  redis.call('HSET', session_key(keep), 'e', ARGV[5])
  index(user, keep, kept[3], kept[4])
end
-- what follows only frees memory
for _, id in ipairs(ids) do
  if not kept or id ~= keep then unlink(id) end
end
return ended
"""
)

-- The usual batch, one hit at one fixed window, without a table and a function of its own: a third of the time. It does what
-- fixed_window.lua and batch.lua do; whatever else comes is left to them.

-- Where the count is in a stored state, as a string: Redis would convert a number on each call.
local COUNT_OFFSET = '13'

while next_batch <= #ARGV do
    local batch = ARGV[next_batch]
    if #batch ~= 35 then
        break
    end
    local _, _, _, call_time, _, kind, always, _, hits, active, _, _, number, _, secs, requests =
        unpack_from('<BBI2I8I2BBBI4I2BBBBI4I4', batch)
    if kind ~= HITS or number ~= FIXED_WINDOW or active % 2 == 0 then
        break
    end
    local now, length = time_of_call(call_time), secs * 1000000
    local key = KEYS[first + 1]
    local raw = redis.pcall('GET', key)
    local start, count = 0, 0
    local stored_start
    if raw then
        if #raw ~= 21 then
            break
        end
        local stored, stored_secs
        stored, stored_secs, start, count = unpack_from('<BI4I8I8', raw)
        if stored ~= number or stored_secs ~= secs or start - now > length or count > MAX_COUNT then
            break
        end
        stored_start = start
    end
    local window = now - now % length
    local used = start >= window and count or 0
    local charged = always == 1 or used + hits <= requests
    found[first + 1] = raw
    if charged then
        start, count = max(start, window), min(used + hits, MAX_COUNT)
    end
    if charged or not raw then
        local reply
        if start == stored_start then
            -- The same window ends when it was to end: only the count is written, which takes half the time.
            reply = redis.pcall('SETRANGE', key, COUNT_OFFSET, pack('<I8', count))
        end
        if type(reply) ~= 'number' then
            -- Another window, or a user who may not run SETRANGE.
            local written = pack('<BI4I8I8', number, secs, start, count)
            local left = ceil(max(start + length - now, 0) / 1000) + grace
            reply = redis.pcall('SET', key, written, 'PX', string.format('%.0f', left))
        end
        if type(reply) == 'table' and reply.err then
            found[first + 1] = failed(reply)
        else
            succeeded()
        end
    end
    next_batch, first = next_batch + 1, first + 1
end

if next_batch > #ARGV then
    return { server_now, report, unpack(found, 1, #KEYS) }
end

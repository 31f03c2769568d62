
local EMPTY = {}
local REQUEST, ANSWER = 0, 1

-- Of the port on the device's side: numbers of queues are below, the number of the run counts from here.
local RUN = 0x10000

-- Which packet answers which: learned when a packet is seen first, in the order of the file.
local waiting, request_of, answer_of

local function forget()
    waiting, request_of, answer_of = {}, {}, {}
end

-- What may be read, and how long the message was before a capture cut it.
local function sizes(tvb)
    return tvb:captured_len(), tvb:reported_len()
end

local function number(tvb, offset)
    return tvb(offset, 4):le_uint()
end

-- A value for the Info column; nil: not worth a word.
local function words(member, range)
    if member.quiet then
        return nil
    elseif member.size == 8 then
        local digits = range:le_uint64():tohex():gsub("^0+", "")
        return digits ~= "" and member.name .. " 0x" .. digits or nil
    end
    local value = range:le_uint()
    local name = member.names and member.names[value]
    if name or value ~= 0 then
        return member.name .. " " .. (name or string.format(value < 4096 and "%d" or "0x%x", value))
    end
end

local add_members

local function add_integer(tree, member, range)
    local item = tree:add_le(member.field, range)
    for _, bit in ipairs(member.bits or EMPTY) do
        item:add_le(bit, range)
    end
end

local function add_bytes(tree, member, range)
    local item = tree:add(member.field, range)
    local text = member.text and range:raw():match("^([%g ]+)\0*$")
    if text then
        item:append_text(' "' .. text .. '"')
    end
end

-- Elements of an array, as many as the capture holds; structures are numbered.
local function add_array(tree, member, tvb, base, count)
    local held = math.min(count, math.floor((tvb:captured_len() - base) / member.size))
    if member.members then
        local rest = tvb(base, math.min(count * member.size, tvb:captured_len() - base))
        tree = tree:add(member.field, rest):set_text(member.name .. ": " .. count .. " x " .. member.of)
    end
    for index = 0, held - 1 do
        local offset = base + index * member.size
        if member.members then
            local element = tree:add(tvb(offset, member.size), "[" .. index .. "]")
            add_members(element, member.members, tvb, offset)
        else
            add_integer(tree, member, tvb(offset, member.size))
        end
    end
end

-- The members that are there whole; of what the Info column says of them, a list.
add_members = function(tree, members, tvb, base)
    local said = {}
    local captured = tvb:captured_len()
    for _, member in ipairs(members) do
        local offset = base + member.offset
        if member.count then
            if offset + member.size * member.count <= captured then
                add_array(tree, member, tvb, offset, member.count)
            end
        elseif member.members then
            if offset < captured then
                local range = tvb(offset, math.min(member.size, captured - offset))
                local inner = tree:add(member.field, range):set_text(member.name)
                for _, word in ipairs(add_members(inner, member.members, tvb, offset)) do
                    table.insert(said, word)
                end
            end
        elseif offset + member.size <= captured then
            local range = tvb(offset, member.size)
            if member.bytes then
                add_bytes(tree, member, range)
            else
                add_integer(tree, member, range)
                said[#said + 1] = words(member, range)
            end
        end
    end
    return said
end

-- What counts the elements behind the structure, or all that is there.
local function add_tail(tree, structure, tvb)
    local tail = structure.tail
    local captured, size = sizes(tvb)
    if not tail or captured <= structure.size then
        return
    end
    local count = math.floor((size - structure.size) / tail.size)
    if tail.counter then
        count = math.min(count, number(tvb, tail.counter))
    end
    if tail.members then
        add_array(tree, tail, tvb, structure.size, count)
    elseif count > 0 then
        tree:add(tail.field, tvb(structure.size, math.min(count, captured - structure.size)))
    end
end

-- Why the bytes are not this structure: kind, path and offset; nil if they are.
local function flaw(structure, tvb)
    local captured, size = sizes(tvb)
    for _, leaf in ipairs(structure.leaves) do
        if leaf.offset + leaf.size > size then
            return "truncated", structure.name .. "." .. leaf.path, leaf.offset
        end
    end
    local tail, expected = structure.tail, structure.size
    if tail and not tail.counter or captured < structure.size then
        return nil
    end
    if tail then
        expected = expected + tail.size * number(tvb, tail.counter)
    end
    if size > expected then
        return "trailing", structure.name .. (tail and "." .. tail.name or ""), expected
    elseif size < expected then
        local index = math.floor((size - structure.size) / tail.size)
        local path = string.format("%s.%s[%.0f]", structure.name, tail.name, index)
        return "truncated", path, structure.size + index * tail.size
    end
end

-- What a request and its answer have in common: the descriptor chain of a run, or the serial of a question. Fields of
-- Wireshark's own would say the interface, but are there only when somebody looks at the packet.
local function conversation(kind, tvb, pinfo, direction)
    local asks = direction == REQUEST
    local head, queue = asks and pinfo.src_port or pinfo.dst_port, asks and pinfo.dst_port or pinfo.src_port
    local serial = kind.serial and tvb:captured_len() >= kind.serial + 4 and number(tvb, kind.serial) or 0
    return string.format("%s %.0f %.0f %.0f", kind.link, queue, head, serial)
end

-- Who is answered by this packet, and where it is answered. A chain that comes again has lost its answer; where the
-- capture does not say who speaks it does not name the chain either, and answers come in the order of the requests.
local function pair(key, pinfo, direction, name)
    if not pinfo.visited then
        local named = pinfo.p2p_dir == REQUEST or pinfo.p2p_dir == ANSWER
        local queue = waiting[key] or {}
        waiting[key] = queue
        if direction == REQUEST then
            queue[named and 1 or #queue + 1] = { number = pinfo.number, name = name, time = pinfo.rel_ts }
        else
            local request = table.remove(queue, 1)
            if request then
                request_of[pinfo.number], answer_of[request.number] = request, pinfo.number
            end
        end
    end
    return request_of[pinfo.number], answer_of[pinfo.number]
end

local function add_pair(tree, kind, pinfo, request, answer)
    if request then
        local seconds, fraction = math.modf(pinfo.rel_ts - request.time)
        tree:add(kind.response_to, request.number):set_generated()
        tree:add(kind.time, NSTime(seconds, math.floor(fraction * 1e9 + 0.5))):set_generated()
    end
    if answer then
        tree:add(kind.response_in, answer):set_generated()
    end
end

local function add_chain(tree, kind, pinfo, direction)
    local asks = direction == REQUEST
    tree:add(kind.head, asks and pinfo.src_port or pinfo.dst_port):set_generated()
    tree:add(kind.queue, (asks and pinfo.dst_port or pinfo.src_port) % RUN):set_generated()
end

local function add_complaints(tree, kind, structure, code, name, tvb)
    local captured, size = sizes(tvb)
    local what, path, offset = flaw(structure, tvb)
    if what then
        tree:add_proto_expert_info(kind[what], string.format("%s at offset %.0f: %s", what, offset, path))
    end
    if code and not kind.structures[code] then
        tree:add_proto_expert_info(kind.unknown_type, "unknown type " .. name)
    elseif code and kind.first_error and code >= kind.first_error then
        tree:add_proto_expert_info(kind.error_response, name)
    end
    if captured < size then
        tree:add_proto_expert_info(kind.cut, string.format("%.0f of %.0f bytes are in the capture", captured, size))
    end
end

-- Who speaks: what the capture says; else what the type says.
local function direction_of(kind, pinfo, code)
    local said = kind.direction or pinfo.p2p_dir
    if said == REQUEST or said == ANSWER then
        return said
    end
    return code and code >= kind.first_answer and ANSWER or REQUEST
end

local function dissect(kind, proto, tvb, pinfo, tree)
    local captured, size = sizes(tvb)
    local item, said = tree:add(proto, tvb()), {}
    local code = kind.structures and captured >= 4 and number(tvb, 0)
    local name = code and (kind.names[code] or string.format("0x%04x", code)) or kind.title
    local structure = code and size >= kind.header.size and (kind.structures[code] or kind.unknown) or kind.header
    local direction = direction_of(kind, pinfo, code)
    if size == 0 and direction == ANSWER then
        name = "an answer of no bytes"
    else
        said = add_members(item, structure.members, tvb, 0)
        add_tail(item, structure, tvb)
        add_complaints(item, kind, structure, code, name, tvb)
    end
    if kind.queues then
        add_chain(item, kind, pinfo, direction)
    end
    if kind.link then
        local key = conversation(kind, tvb, pinfo, direction)
        local request, answer = pair(key, pinfo, direction, name)
        add_pair(item, kind, pinfo, request, answer)
        name = request and name .. " to " .. request.name or name
    end
    item:append_text(", " .. name)
    pinfo.cols.protocol = kind.title
    pinfo.cols.src, pinfo.cols.dst = kind.ends[1 + direction], kind.ends[2 - direction]
    pinfo.cols.info = name .. (#said > 0 and ", " .. table.concat(said, ", ") or "")
end

-- The fields and complaints that every dissector has.
local function register(kind)
    local proto = Proto(kind.name, kind.title)
    local fields = kind.fields
    local function field(member, make, name, ...)
        kind[member] = make(kind.name .. "." .. member, name, ...)
        table.insert(fields, kind[member])
    end
    local function complaint(member, text, group, severity)
        kind[member] = ProtoExpert.new(kind.name .. "." .. member, text, group, severity)
        return kind[member]
    end
    if kind.link then
        field("response_in", ProtoField.framenum, "answered in", base.NONE, frametype.RESPONSE)
        field("response_to", ProtoField.framenum, "answer to", base.NONE, frametype.REQUEST)
        field("time", ProtoField.relative_time, "time since the request")
    end
    if kind.queues then
        field("queue", ProtoField.uint32, "queue", base.DEC, kind.queues)
        field("head", ProtoField.uint32, "head of the descriptor chain", base.DEC)
    end
    proto.fields = fields
    proto.experts = {
        complaint("truncated", "the message ends too early", expert.group.MALFORMED, expert.severity.ERROR),
        complaint("trailing", "bytes behind the message", expert.group.MALFORMED, expert.severity.ERROR),
        complaint("unknown_type", "unknown type", expert.group.UNDECODED, expert.severity.WARN),
        complaint("error_response", "error response", expert.group.RESPONSE_CODE, expert.severity.NOTE),
        complaint("cut", "the capture has not all of it", expert.group.UNDECODED, expert.severity.NOTE),
    }
    proto.init = forget
    proto.dissector = function(tvb, pinfo, tree)
        dissect(kind, proto, tvb, pinfo, tree)
        return tvb:captured_len()
    end
end

forget()
for _, kind in ipairs(kinds) do
    register(kind)
end

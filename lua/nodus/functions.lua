--- functions.lua: the manual of what the library has in C (lua/tensor*.c, value.c, run.c): comments only, for docs/lua-library.md, help() and
--- editors. A comment that begins with a call is an entry: `receiver:method(arguments): what it does`; `[…]` may be left out.

--- tensor (nodus.Tensor): Numbers (f32) in one to five axes. Axes and places count from 1, from the end where negative. Pictures are
--- [number, height, width, channel], 0 to 1, masks [number, height, width]. `+ - * / ^` take tensors and numbers; an axis of length 1 is
--- repeated. `#t` is the length of the first axis, `t[i]` its i-th part: of a row, a number.
---@operator add(nodus.Tensor|number): nodus.Tensor
---@operator sub(nodus.Tensor|number): nodus.Tensor
---@operator mul(nodus.Tensor|number): nodus.Tensor
---@operator div(nodus.Tensor|number): nodus.Tensor
---@operator unm: nodus.Tensor
---@operator pow(nodus.Tensor|number): nodus.Tensor
---@operator len: integer
---@field [integer] nodus.Tensor|number

--- n.tensor(table, [shape]): a tensor of nested tables of numbers, or of a flat one with a shape.
---@param table table
---@param shape? integer[]
---@return nodus.Tensor

--- n.full(shape, [value]): a tensor of one number everywhere, 0 unless it is given.
---@param shape integer[]
---@param value? number
---@return nodus.Tensor

--- n.text(line, [scale]): a line of text as a picture [height, width, 3], for labels; a letter has 6 × 9 pixels, times `scale` (2).
---@param line string
---@param scale? integer
---@return nodus.Tensor

--- n.concat(tensors, [axis]): several tensors as one, side by side along an axis (the first, unless it is given).
---@param tensors nodus.Tensor[]
---@param axis? integer
---@return nodus.Tensor

--- n.load_tensor(name, [folder]): an array where the name ends in .npy, else a picture; of the input folder, or "output", "temp".
---@param name string
---@param folder? "input"|"output"|"temp"
---@return nodus.Tensor

--- n.save_text(name, text): writes a text into the output folder.
---@param name string
---@param text string

--- n.clock(): seconds since some moment, to measure with.
---@return number

--- n.info(class): the table of a node: title, help, category, inputs (name, type, kind, def, min, max, choices, tooltip), outputs. As text it
--- is what help() shows.
---@param class string
---@return table?

--- n.nodes(): the names of all nodes that can run.
---@return string[]

--- n.null: JSON's null, where a workflow has one.
---@type any

--- node (nodus.Node): A node of a workflow: its inputs are fields that are read and set, its outputs links: `c.CLIP`, `c[2]`.

--- node:to_json(): the workflow of this node and all that it needs.
---@return string

--- link (nodus.Link): An output of a node: an input of others, or what is to be computed.

--- link:list([options]): all values of an output that is a list.
---@param options? table as of graph:run
---@return any[]

--- graph (nodus.Graph): The nodes that it was given and all that they need; `graph["title"]` finds one by id, title or class.

--- sweep (nodus.Sweep): The rows of a study; as text a table.

--- sweep:csv(name): writes the rows into the output folder.
---@param name string

--- n.json(text): a list or an object, as an input.
---@param text string
---@return any

--- n.lincomb(c1, x1, …): c1·x1 + c2·x2 + …, in this order.
---@return nodus.Tensor

--- result (nodus.Result): What a run gave: `result[node]`, `result[link]`, and these.
---@field [any] any

--- result.files: the files that output nodes wrote, below their folder.
---@type string[]

--- result.texts: the texts that output nodes showed.
---@type string[]

--- result.seconds: how long the run took.
---@type number

--- result.status: "success", "error" or "cancelled".
---@type string

--- tensor:shape(): the lengths of its axes.
---@return integer[]

--- tensor:count(): how many numbers it has.
---@return integer

--- tensor:item(): the number of a tensor that has only one.
---@return number

--- tensor:totable(): the numbers as nested tables.
---@return table

--- tensor:slice(axis, from, [to]): a part along an axis, both ends included; to the end, unless `to` is given.
---@param axis integer
---@param from integer
---@param to? integer
---@return nodus.Tensor

--- tensor:reshape(shape): the same numbers in the same order, in another shape.
---@param shape integer[]
---@return nodus.Tensor

--- tensor:permute(axes): the axes in another order: `t:permute{ 1, 4, 2, 3 }`.
---@param axes integer[]
---@return nodus.Tensor

--- tensor:resize(height, width, [filter]): other lengths of the last two axes (of a mask; a picture is permuted before).
---@param height integer
---@param width integer
---@param filter? "nearest-exact"|"nearest"|"bilinear"|"bicubic"|"area"
---@return nodus.Tensor

--- tensor:clamp(low, high): each number brought between the two.
---@param low number
---@param high number
---@return nodus.Tensor

--- tensor:mean([axis]): the mean of all numbers; along an axis, of each row: that axis is 1 long then, so that the result is repeated over the tensor.
---@param axis? integer
---@return number
---@overload fun(self: nodus.Tensor, axis: integer): nodus.Tensor

--- tensor:std(): the standard deviation of all numbers.
---@return number

--- tensor:min([axis]): the least of all numbers, or along an axis.
---@param axis? integer
---@return number
---@overload fun(self: nodus.Tensor, axis: integer): nodus.Tensor

--- tensor:max([axis]): the largest of all numbers, or along an axis.
---@param axis? integer
---@return number
---@overload fun(self: nodus.Tensor, axis: integer): nodus.Tensor

--- tensor:sum([axis]): the sum of all numbers, or along an axis.
---@param axis? integer
---@return number
---@overload fun(self: nodus.Tensor, axis: integer): nodus.Tensor

--- tensor:abs(): each number without its sign.
---@return nodus.Tensor

--- tensor:sqrt(): the square root of each number.
---@return nodus.Tensor

--- tensor:exp(): e to the power of each number.
---@return nodus.Tensor

--- tensor:log(): the natural logarithm of each number.
---@return nodus.Tensor

--- tensor:floor(): each number, rounded down.
---@return nodus.Tensor

--- tensor:round(): each number, rounded to the nearest whole one; halves to the even one.
---@return nodus.Tensor

--- tensor:pow(other): each number to a power: the same as `^`.
---@param other nodus.Tensor|number
---@return nodus.Tensor

--- tensor:maximum(other): the larger one of each pair of numbers.
---@param other nodus.Tensor|number
---@return nodus.Tensor

--- tensor:minimum(other): the lesser one of each pair of numbers.
---@param other nodus.Tensor|number
---@return nodus.Tensor

--- tensor:gt(other): 1 where it is greater than the other, elsewhere 0: a mask.
---@param other nodus.Tensor|number
---@return nodus.Tensor

--- tensor:ge(other): 1 where it is greater or equal, elsewhere 0.
---@param other nodus.Tensor|number
---@return nodus.Tensor

--- tensor:lt(other): 1 where it is less than the other, elsewhere 0.
---@param other nodus.Tensor|number
---@return nodus.Tensor

--- tensor:le(other): 1 where it is less or equal, elsewhere 0.
---@param other nodus.Tensor|number
---@return nodus.Tensor

--- tensor:eq(other): 1 where both are equal, elsewhere 0. (`==` asks whether all are.)
---@param other nodus.Tensor|number
---@return nodus.Tensor

--- tensor:argmax(axis): the place, from 1, of the largest number along an axis.
---@param axis integer
---@return nodus.Tensor

--- tensor:argmin(axis): the place, from 1, of the least number along an axis.
---@param axis integer
---@return nodus.Tensor

--- tensor:flip(axis): the other way round along an axis.
---@param axis integer
---@return nodus.Tensor

--- tensor:take(axis, places): the parts at these places of an axis, in this order: `t:take(4, { 3, 2, 1 })`.
---@param axis integer
---@param places integer[]
---@return nodus.Tensor

--- tensor:matmul(other): the product of matrices, [… m, k] with [… k, n]. Sums in f64.
---@param other nodus.Tensor
---@return nodus.Tensor

--- tensor:norm(): the root of the sum of all squares.
---@return number

--- tensor:mse(other): the mean of the squared differences of two tensors of one shape.
---@param other nodus.Tensor
---@return number

--- tensor:psnr(other, [peak]): how alike two pictures are, in dB: 10·log10(peak²/mse); peak: 1 unless it is given.
---@param other nodus.Tensor
---@param peak? number
---@return number

--- tensor:save(name, [folder]): writes a picture (.png) or an array (.npy) into the output folder, or "temp". Gives the name.
---@param name string
---@param folder? "output"|"temp"
---@return string

--- value (nodus.Value): A result that Lua has no form for: a MODEL, LATENT, CONDITIONING and so on.

--- value:type(): the name of its type.
---@return string

--- value:tensor([part]): the array of a LATENT, CONDITIONING and so on; part: "pooled", "noise_mask".
---@param part? string
---@return nodus.Tensor

return {}

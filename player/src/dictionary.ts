/**
 * The preset dictionary of form `~0`: the text of `dictionary.txt`. It never changes, because recordings live long. It is ASCII, so
 * that its characters are its bytes.
 */
export const DICTIONARY =
  '"status":"open","action":"start","stop","show","hide","url":"https://"title":"","time":0."items":[],"total":10,"points":,"rank":,"price":,"count":,"value":,"user":"","name":"the ","text":" and "options":["A","B","C","D"],"correct":true,false,null,"question":,"answer":"score":{"a":1,"b":2,"id":"leaderboard","chat.message","quiz.answer","poll","vote","r":1,"c":[0,0,1],"s":[{"k":"","x":1},{"k":"","m":"none"}]}"},"k":"","m":"patch","m":"min","m":"max"},"t":"","k":"","m":"sum"},{"d":{"v":1,"n":17,"e":[{"d":{"';

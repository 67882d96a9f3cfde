using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace C2R.Tests
{
    /// <summary>
    /// Reads the conformance table: JSON into dictionaries, lists, doubles, strings and booleans.
    /// (JsonUtility wants a class for every object; the table's shape is in one place already.)
    /// </summary>
    public sealed class TableReader
    {
        private readonly string _text;
        private int _at;

        private TableReader(string text)
        {
            _text = text;
        }

        /// <summary>The value that a text holds; <c>FormatException</c> for what is no JSON.</summary>
        public static Dictionary<string, object> Read(string text)
        {
            var reader = new TableReader(text);
            return (Dictionary<string, object>)reader.Value();
        }

        private object Value()
        {
            char first = Peek();
            if (first == '{') return Object();
            if (first == '[') return List();
            if (first == '"') return Text();
            string word = Word();
            if (word == "true") return true;
            if (word == "false") return false;
            return double.Parse(word, CultureInfo.InvariantCulture);
        }

        private Dictionary<string, object> Object()
        {
            var table = new Dictionary<string, object>();
            Take('{');
            while (Peek() != '}')
            {
                string name = Text();
                Take(':');
                table[name] = Value();
                if (Peek() == ',') Take(',');
            }
            Take('}');
            return table;
        }

        private List<object> List()
        {
            var list = new List<object>();
            Take('[');
            while (Peek() != ']')
            {
                list.Add(Value());
                if (Peek() == ',') Take(',');
            }
            Take(']');
            return list;
        }

        private string Text()
        {
            Take('"');
            var read = new StringBuilder();
            while (_text[_at] != '"')
            {
                if (_text[_at] == '\\') throw new FormatException("the table has no escapes");
                read.Append(_text[_at++]);
            }
            _at++;
            return read.ToString();
        }

        private string Word()
        {
            int first = _at;
            while (_at < _text.Length && ",]} \n\r\t".IndexOf(_text[_at]) < 0) _at++;
            return _text.Substring(first, _at - first);
        }

        private char Peek()
        {
            while (char.IsWhiteSpace(_text[_at])) _at++;
            return _text[_at];
        }

        private void Take(char wanted)
        {
            if (Peek() != wanted) throw new FormatException("no " + wanted + " at " + _at);
            _at++;
        }
    }
}
